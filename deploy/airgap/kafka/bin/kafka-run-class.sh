#!/bin/sh
# Kafka's own script is not among its published jars; this one knows what ours and it both know.
quiet=
case $(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p') in
    2[4-9] | [3-9][0-9]) quiet=--sun-misc-unsafe-memory-access=allow ;;
esac
# shellcheck disable=SC2086  each holds several options, as with Kafka's own
exec java ${KAFKA_HEAP_OPTS:--Xmx256m} $quiet -Djava.awt.headless=true \
    ${KAFKA_LOG4J_OPTS:-} ${KAFKA_JVM_PERFORMANCE_OPTS:-} ${KAFKA_OPTS:-} \
    -cp '/opt/kafka/libs/*' "$@"
