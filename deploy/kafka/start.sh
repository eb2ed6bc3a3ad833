#!/bin/sh
# Kafka in a container, official image or stand-in: configured and laid out, then run. What the
# template leaves open comes from variables of the same names; each has a default for one broker.
set -eu
here=/etc/lianhu/kafka
properties=/tmp/server.properties
data=/var/lib/kafka/data/log
: "${NODE_ID:=1}" "${HOST:=kafka}" "${PUBLIC_HOST:=localhost}" "${PUBLIC_PORT:=9094}"
: "${REPLICATION:=1}" "${MIN_ISR:=1}" "${COORDINATORS:=12}" "${SESSION_MS:=3600000}"
: "${VOTERS:=$NODE_ID@$HOST:9093}"

sed -e "s|@NODE_ID@|$NODE_ID|g" -e "s|@VOTERS@|$VOTERS|g" -e "s|@DATA@|$data|g" \
    -e "s|@SECRETS@|/run/secrets|g" -e 's|@BIND@|0.0.0.0|g' -e "s|@HOST@|$HOST|g" \
    -e "s|@PUBLIC_HOST@|$PUBLIC_HOST|g" -e "s|@PUBLIC_PORT@|$PUBLIC_PORT|g" \
    -e 's|@SERVICES_PORT@|9092|g' -e 's|@CONTROLLER_PORT@|9093|g' \
    -e 's|@PUBLISHERS_PORT@|9094|g' -e 's|@BROKERS_PORT@|9095|g' \
    -e "s|@REPLICATION@|$REPLICATION|g" -e "s|@MIN_ISR@|$MIN_ISR|g" \
    -e "s|@COORDINATORS@|$COORDINATORS|g" -e "s|@SESSION_MS@|$SESSION_MS|g" \
    "$here/server.properties" > "$properties"
if grep -n '@[A-Z_]*@' "$properties"; then
    echo 'the template has a name that this script does not know' >&2
    exit 1
fi

export KAFKA_LOG4J_OPTS="-Dlog4j2.configurationFile=$here/log4j2.properties"
export LOG_DIR=/tmp/kafka EXTRA_ARGS=

if [ ! -s "$data/meta.properties" ]; then
    # the administrator's password by a file, since a command line is open to all
    words=/tmp/first-words
    (
        umask 077
        printf '%s\n' --add-scram \
            "SCRAM-SHA-512=[name=admin,password=$(cat /run/secrets/kafka-admin)]" > "$words"
    )
    rm -rf "$data" # left by a format that was cut short
    KAFKA_HEAP_OPTS="-Xmx128m -XX:TieredStopAtLevel=1" /opt/kafka/bin/kafka-storage.sh format \
        --cluster-id "$CLUSTER_ID" --config "$properties" "@$words"
    rm -f "$words"
fi

# the stand-in has the exporter among its jars; beside the official image it is put into jmx/
for agent in /opt/kafka/libs/jmx_prometheus_javaagent-*.jar \
    "$here"/jmx/jmx_prometheus_javaagent-*.jar; do
    if [ -e "$agent" ]; then
        export KAFKA_OPTS="-javaagent:$agent=9404:/etc/lianhu/monitoring/kafka/jmx-exporter.yml"
    fi
done
exec /opt/kafka/bin/kafka-server-start.sh "$properties"
