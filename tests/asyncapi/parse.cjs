// Reads {name: document} from stdin, writes {name: [diagnostic]} of severity error to stdout.
// It runs in the folder into which the parser was installed.
const { createRequire } = require("node:module");
const { readFileSync } = require("node:fs");
const path = require("node:path");

const { Parser } = createRequire(path.join(process.cwd(), "package.json"))("@asyncapi/parser");

const ERROR = 0;

async function main() {
  const documents = JSON.parse(readFileSync(0, "utf-8"));
  const found = {};
  for (const [name, document] of Object.entries(documents)) {
    const { diagnostics } = await new Parser().parse(JSON.stringify(document));
    found[name] = diagnostics
      .filter((each) => each.severity === ERROR)
      .map((each) => `/${each.path.join("/")}: ${each.message} (${each.code})`);
  }
  process.stdout.write(JSON.stringify(found));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
