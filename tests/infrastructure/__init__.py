"""Where the tests take their broker and their database from: one of three grounds, by a word."""
