import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import org.apache.pulsar.client.api.Consumer;
import org.apache.pulsar.client.api.ConsumerBuilder;
import org.apache.pulsar.client.api.ConsumerEventListener;
import org.apache.pulsar.client.api.DeadLetterPolicy;
import org.apache.pulsar.client.api.KeySharedPolicy;
import org.apache.pulsar.client.api.Message;
import org.apache.pulsar.client.api.MessageId;
import org.apache.pulsar.client.api.PulsarClient;
import org.apache.pulsar.client.api.Range;
import org.apache.pulsar.client.api.Reader;
import org.apache.pulsar.client.api.ReaderBuilder;
import org.apache.pulsar.client.api.Schema;
import org.apache.pulsar.client.api.SubscriptionInitialPosition;
import org.apache.pulsar.client.api.SubscriptionMode;
import org.apache.pulsar.client.api.SubscriptionType;
import org.apache.pulsar.client.api.schema.GenericRecord;

/** Operations of consumers and readers. */
final class Consuming {
    /** A consumer or reader, and its messages by the reference the runner knows them by. */
    static final class Held implements ConsumerEventListener {
        Consumer<Object> consumer;
        Reader<Object> reader;
        final boolean valued;
        final AtomicInteger refs = new AtomicInteger();
        final Map<Integer, Message<Object>> messages = new ConcurrentHashMap<>();
        final BlockingQueue<Boolean> active = new LinkedBlockingQueue<>();

        Held(JsonNode a) {
            valued = a.hasNonNull("schema");
        }

        @Override
        public void becameActive(Consumer<?> consumer, int partition) {
            active.add(true);
        }

        @Override
        public void becameInactive(Consumer<?> consumer, int partition) {
            active.add(false);
        }
    }

    private interface OnConsumer {
        void run(Consumer<Object> consumer) throws Exception;
    }

    private interface OnMessage {
        void run(Consumer<Object> consumer, Message<Object> message) throws Exception;
    }

    private Consuming() {}

    static void register(Driver driver) {
        driver.on("consumer.subscribe", a -> Map.of("handle", driver.keep(subscribe(driver.held(a, "client"), a))));
        driver.on("consumer.receive", a -> {
            Held held = driver.held(a, "handle");
            return out(held, held.consumer.receive(a.get("timeoutMs").asInt(), TimeUnit.MILLISECONDS));
        });
        driver.on("consumer.activeEvent", a -> driver.<Held>held(a, "handle").active.poll(a.get("timeoutMs").asInt(), TimeUnit.MILLISECONDS));
        onMessage(driver, "consumer.ack", Consumer::acknowledge);
        onMessage(driver, "consumer.ackCumulative", Consumer::acknowledgeCumulative);
        onMessage(driver, "consumer.nack", Consumer::negativeAcknowledge);
        driver.on("consumer.reconsumeLater", a -> {
            Held held = driver.held(a, "handle");
            held.consumer.reconsumeLater(held.messages.get(a.get("ref").asInt()), a.get("delayMs").asLong(), TimeUnit.MILLISECONDS);
            return null;
        });
        driver.on("consumer.ackId", a -> {
            driver.<Held>held(a, "handle").consumer.acknowledge(Clients.idIn(a.get("id").asText()));
            return null;
        });
        driver.on("consumer.ackList", a -> {
            Held held = driver.held(a, "handle");
            List<MessageId> ids = new ArrayList<>();
            a.get("refs").forEach(ref -> ids.add(held.messages.get(ref.asInt()).getMessageId()));
            held.consumer.acknowledge(ids);
            return null;
        });
        driver.on("consumer.seek", a -> {
            Consumer<Object> consumer = driver.<Held>held(a, "handle").consumer;
            if (a.has("time")) consumer.seek(a.get("time").asLong());
            else consumer.seek(Clients.idIn(a.get("id").asText()));
            return null;
        });
        onConsumer(driver, "consumer.redeliver", Consumer::redeliverUnacknowledgedMessages);
        onConsumer(driver, "consumer.unsubscribe", Consumer::unsubscribe);
        onConsumer(driver, "consumer.close", Consumer::close);
        driver.on("consumer.lastMessageId", a -> Clients.idOut(driver.<Held>held(a, "handle").consumer.getLastMessageIds().get(0)));
        driver.on("consumer.reachedEnd", a -> driver.<Held>held(a, "handle").consumer.hasReachedEndOfTopic());
        registerReaders(driver);
    }

    private static void registerReaders(Driver driver) {
        driver.on("reader.create", a -> Map.of("handle", driver.keep(read(driver.held(a, "client"), a))));
        driver.on("reader.next", a -> {
            Held held = driver.held(a, "handle");
            return out(held, held.reader.readNext(a.get("timeoutMs").asInt(), TimeUnit.MILLISECONDS));
        });
        driver.on("reader.hasNext", a -> driver.<Held>held(a, "handle").reader.hasMessageAvailable());
        driver.on("reader.reachedEnd", a -> driver.<Held>held(a, "handle").reader.hasReachedEndOfTopic());
        driver.on("reader.seek", a -> {
            Reader<Object> reader = driver.<Held>held(a, "handle").reader;
            if (a.has("time")) reader.seek(a.get("time").asLong());
            else reader.seek(Clients.idIn(a.get("id").asText()));
            return null;
        });
        driver.on("reader.close", a -> {
            driver.<Held>held(a, "handle").reader.close();
            return null;
        });
    }

    private static void onConsumer(Driver driver, String name, OnConsumer call) {
        driver.on(name, a -> {
            call.run(driver.<Held>held(a, "handle").consumer);
            return null;
        });
    }

    private static void onMessage(Driver driver, String name, OnMessage call) {
        driver.on(name, a -> {
            Held held = driver.held(a, "handle");
            call.run(held.consumer, held.messages.get(a.get("ref").asInt()));
            return null;
        });
    }

    @SuppressWarnings("unchecked")
    private static Held subscribe(PulsarClient client, JsonNode a) throws Exception {
        Held held = new Held(a);
        ConsumerBuilder<Object> builder = client.newConsumer((Schema<Object>) Clients.schemaOf(a)).subscriptionName(a.get("subscription").asText());
        if (a.has("topic")) builder.topic(a.get("topic").asText());
        if (a.has("topics")) a.get("topics").forEach(topic -> builder.topic(topic.asText()));
        if (a.has("pattern")) builder.topicsPattern(Pattern.compile(a.get("pattern").asText()));
        if (a.has("discoveryMs")) builder.patternAutoDiscoveryPeriod(a.get("discoveryMs").asInt(), TimeUnit.MILLISECONDS);
        if (a.path("type").asText().equals("Key_Shared")) builder.subscriptionType(SubscriptionType.Key_Shared);
        else if (a.has("type")) builder.subscriptionType(SubscriptionType.valueOf(a.get("type").asText()));
        if (a.path("position").asText().equals("Earliest")) builder.subscriptionInitialPosition(SubscriptionInitialPosition.Earliest);
        if (a.has("name")) builder.consumerName(a.get("name").asText());
        if (a.has("queueSize")) builder.receiverQueueSize(a.get("queueSize").asInt());
        if (a.has("priority")) builder.priorityLevel(a.get("priority").asInt());
        if (a.has("properties")) builder.properties(Clients.texts(a.get("properties")));
        if (a.has("subscriptionProperties")) builder.subscriptionProperties(Clients.texts(a.get("subscriptionProperties")));
        if (a.has("durable") && !a.get("durable").asBoolean()) builder.subscriptionMode(SubscriptionMode.NonDurable);
        if (a.path("watchActive").asBoolean()) builder.consumerEventListener(held);
        if (a.has("keyShared")) builder.keySharedPolicy(keyShared(a.get("keyShared")));
        acknowledging(builder, a);
        held.consumer = builder.subscribe();
        return held;
    }

    private static void acknowledging(ConsumerBuilder<Object> builder, JsonNode a) {
        if (a.has("ackTimeoutMs")) builder.ackTimeout(a.get("ackTimeoutMs").asLong(), TimeUnit.MILLISECONDS);
        if (a.has("nackDelayMs")) builder.negativeAckRedeliveryDelay(a.get("nackDelayMs").asLong(), TimeUnit.MILLISECONDS);
        if (a.has("batchIndexAck")) builder.enableBatchIndexAcknowledgment(a.get("batchIndexAck").asBoolean());
        if (a.has("ackReceipt")) builder.isAckReceiptEnabled(a.get("ackReceipt").asBoolean());
        if (a.has("readCompacted")) builder.readCompacted(a.get("readCompacted").asBoolean());
        if (a.path("inclusive").asBoolean()) builder.startMessageIdInclusive();
        if (a.path("retry").asBoolean()) builder.enableRetry(true);
        if (a.has("deadLetter")) {
            JsonNode dead = a.get("deadLetter");
            builder.deadLetterPolicy(DeadLetterPolicy.builder().maxRedeliverCount(dead.get("maxRedeliveries").asInt())
                .deadLetterTopic(Clients.text(dead, "topic")).initialSubscriptionName(Clients.text(dead, "initialSubscription")).build());
        }
    }

    private static KeySharedPolicy keyShared(JsonNode spec) {
        if (!spec.has("ranges")) return KeySharedPolicy.autoSplitHashRange().setAllowOutOfOrderDelivery(spec.path("allowOutOfOrder").asBoolean());
        List<Range> ranges = new ArrayList<>();
        spec.get("ranges").forEach(range -> ranges.add(Range.of(range.get(0).asInt(), range.get(1).asInt())));
        return KeySharedPolicy.stickyHashRange().ranges(ranges);
    }

    @SuppressWarnings("unchecked")
    private static Held read(PulsarClient client, JsonNode a) throws Exception {
        Held held = new Held(a);
        ReaderBuilder<Object> builder = client.newReader((Schema<Object>) Clients.schemaOf(a)).topic(a.get("topic").asText());
        if (a.has("start")) builder.startMessageId(Clients.idIn(a.get("start").asText()));
        if (a.has("startAgoMs")) builder.startMessageFromRollbackDuration(a.get("startAgoMs").asLong(), TimeUnit.MILLISECONDS);
        if (a.path("inclusive").asBoolean()) builder.startMessageIdInclusive();
        if (a.has("name")) builder.readerName(a.get("name").asText());
        if (a.has("subscription")) builder.subscriptionName(a.get("subscription").asText());
        if (a.has("queueSize")) builder.receiverQueueSize(a.get("queueSize").asInt());
        if (a.has("readCompacted")) builder.readCompacted(a.get("readCompacted").asBoolean());
        held.reader = builder.create();
        return held;
    }

    private static Object out(Held held, Message<Object> message) {
        if (message == null) return null;
        int ref = held.refs.incrementAndGet();
        held.messages.put(ref, message);
        Map<String, Object> out = new HashMap<>();
        out.put("ref", ref);
        out.put("id", Clients.idOut(message.getMessageId()));
        out.put("topic", message.getTopicName());
        out.put("properties", message.getProperties());
        out.put("key", message.hasKey() ? message.getKey() : "");
        out.put("orderingKey", message.hasOrderingKey() ? new String(message.getOrderingKey()) : "");
        out.put("eventTime", message.getEventTime());
        out.put("publishTime", message.getPublishTime());
        out.put("redeliveryCount", message.getRedeliveryCount());
        out.put("producerName", message.getProducerName());
        out.put("data", message.getData());
        message.getIndex().ifPresent(index -> out.put("index", index));
        message.getBrokerPublishTime().ifPresent(time -> out.put("brokerPublishTime", time));
        if (held.valued) out.put("value", value(message.getValue()));
        return out;
    }

    private static Object value(Object value) {
        if (!(value instanceof GenericRecord record)) return value;
        Map<String, Object> fields = new HashMap<>();
        record.getFields().forEach(field -> {
            Object held = record.getField(field);
            fields.put(field.getName(), held instanceof CharSequence ? held.toString() : held);
        });
        return fields;
    }
}
