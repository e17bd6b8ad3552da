import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.pulsar.client.api.BatcherBuilder;
import org.apache.pulsar.client.api.CompressionType;
import org.apache.pulsar.client.api.MessageRoutingMode;
import org.apache.pulsar.client.api.Producer;
import org.apache.pulsar.client.api.ProducerAccessMode;
import org.apache.pulsar.client.api.ProducerBuilder;
import org.apache.pulsar.client.api.PulsarClient;
import org.apache.pulsar.client.api.Schema;
import org.apache.pulsar.client.api.TypedMessageBuilder;

/** Operations of producers. */
final class Producing {
    /** A producer and the schema that its values follow. */
    record Held(Producer<Object> producer, JsonNode schema) {}

    private Producing() {}

    static void register(Driver driver) {
        driver.on("producer.create", a -> {
            Producer<Object> producer = create(driver.held(a, "client"), a);
            return Map.of("handle", driver.keep(new Held(producer, a.get("schema"))), "name", producer.getProducerName());
        });
        driver.on("producer.send", a -> Clients.idOut(message(driver.held(a, "handle"), a.get("message")).send()));
        driver.on("producer.sendMany", a -> sendMany(driver.held(a, "handle"), a.get("messages")));
        driver.on("producer.lastSequenceId", a -> driver.<Held>held(a, "handle").producer.getLastSequenceId());
        driver.on("producer.close", a -> {
            driver.<Held>held(a, "handle").producer.close();
            return null;
        });
    }

    @SuppressWarnings("unchecked")
    private static Producer<Object> create(PulsarClient client, JsonNode a) throws Exception {
        ProducerBuilder<Object> builder = client.newProducer((Schema<Object>) Clients.schemaOf(a)).topic(a.get("topic").asText())
            .enableBatching(a.has("batching")).blockIfQueueFull(true);
        if (a.has("name")) builder.producerName(a.get("name").asText());
        if (a.has("accessMode")) builder.accessMode(ProducerAccessMode.valueOf(a.get("accessMode").asText()));
        if (a.has("compression")) builder.compressionType(CompressionType.valueOf(a.get("compression").asText()));
        if (a.has("chunking")) builder.enableChunking(a.get("chunking").asBoolean());
        if (a.has("initialSequenceId")) builder.initialSequenceId(a.get("initialSequenceId").asLong());
        if (a.has("sendTimeoutMs")) builder.sendTimeout(a.get("sendTimeoutMs").asInt(), TimeUnit.MILLISECONDS);
        if (a.has("properties")) builder.properties(Clients.texts(a.get("properties")));
        if (a.has("routing")) {
            boolean single = a.get("routing").asText().equals("Single");
            builder.messageRoutingMode(single ? MessageRoutingMode.SinglePartition : MessageRoutingMode.RoundRobinPartition);
        }
        if (a.has("batching")) {
            JsonNode batching = a.get("batching");
            builder.batchingMaxMessages(batching.get("maxMessages").asInt()).batchingMaxBytes(8 << 20)
                .batchingMaxPublishDelay(batching.get("maxDelayMs").asLong(), TimeUnit.MILLISECONDS);
            if (batching.path("keyBased").asBoolean()) builder.batcherBuilder(BatcherBuilder.KEY_BASED);
        }
        return builder.create();
    }

    private static TypedMessageBuilder<Object> message(Held held, JsonNode spec) throws Exception {
        TypedMessageBuilder<Object> message = held.producer.newMessage();
        message.value(spec.has("value") ? value(held.schema, spec.get("value")) : Base64.getDecoder().decode(spec.get("data").asText()));
        if (spec.has("key")) message.key(spec.get("key").asText());
        if (spec.has("orderingKey")) message.orderingKey(spec.get("orderingKey").asText().getBytes());
        if (spec.has("properties")) message.properties(Clients.texts(spec.get("properties")));
        if (spec.has("eventTime")) message.eventTime(spec.get("eventTime").asLong());
        if (spec.has("sequenceId")) message.sequenceId(spec.get("sequenceId").asLong());
        if (spec.has("deliverAfterMs")) message.deliverAfter(spec.get("deliverAfterMs").asLong(), TimeUnit.MILLISECONDS);
        return message;
    }

    private static Object value(JsonNode schema, JsonNode value) throws Exception {
        if (schema.has("record")) return Driver.JSON.treeToValue(value, Clients.recordOf(schema));
        return schema.get("type").asText().equals("INT32") ? (Object) value.asInt() : value.asText();
    }

    private static Object sendMany(Held held, JsonNode messages) throws Exception {
        List<Object> receipts = Collections.synchronizedList(new ArrayList<>());
        List<CompletableFuture<Void>> sending = new ArrayList<>();
        for (int i = 0; i < messages.size(); i++) {
            int index = i;
            sending.add(message(held, messages.get(i)).sendAsync().thenAccept(id -> receipts.add(Map.of("index", index, "id", Clients.idOut(id)))));
        }
        held.producer.flush();
        CompletableFuture.allOf(sending.toArray(CompletableFuture[]::new)).get(60, TimeUnit.SECONDS);
        return receipts;
    }
}
