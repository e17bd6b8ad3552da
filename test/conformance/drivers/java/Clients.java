import com.fasterxml.jackson.databind.JsonNode;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.pulsar.client.api.Authentication;
import org.apache.pulsar.client.api.AuthenticationFactory;
import org.apache.pulsar.client.api.ClientBuilder;
import org.apache.pulsar.client.api.MessageId;
import org.apache.pulsar.client.api.MessageIdAdv;
import org.apache.pulsar.client.api.PulsarClient;
import org.apache.pulsar.client.api.Schema;
import org.apache.pulsar.client.api.TableView;

/** Operations of a client itself, and what all operations share: message ids and schemas. */
final class Clients {
    public static class User {
        public String name;
        public int age;
    }

    public static class UserWithEmail {
        public String name;
        public int age;
        public String email;
    }

    public static class UserWithTextAge {
        public String name;
        public String age;
    }

    private static final Map<String, Class<?>> RECORDS =
        Map.of("User", User.class, "UserWithEmail", UserWithEmail.class, "UserWithTextAge", UserWithTextAge.class);

    private Clients() {}

    static void register(Driver driver) {
        driver.on("client.create", a -> Map.of("handle", driver.keep(create(a))));
        driver.on("client.close", a -> {
            driver.<PulsarClient>held(a, "handle").close();
            return null;
        });
        driver.on("client.partitions", a -> driver.<PulsarClient>held(a, "handle").getPartitionsForTopic(a.get("topic").asText()).get());
        driver.on("client.tableView", a -> {
            PulsarClient client = driver.held(a, "client");
            try (TableView<String> view = client.newTableView(Schema.STRING).topic(a.get("topic").asText()).create()) {
                Map<String, String> entries = new HashMap<>();
                view.forEach(entries::put);
                return entries;
            }
        });
        driver.on("client.transaction", a -> {
            driver.<PulsarClient>held(a, "handle").newTransaction().withTransactionTimeout(1, TimeUnit.MINUTES).build().get();
            return null;
        });
    }

    private static PulsarClient create(JsonNode a) throws Exception {
        ClientBuilder builder = PulsarClient.builder().serviceUrl(a.get("url").asText()).ioThreads(1).listenerThreads(1);
        if (a.has("operationTimeoutMs")) {
            builder.operationTimeout(a.get("operationTimeoutMs").asInt(), TimeUnit.MILLISECONDS)
                .lookupTimeout(a.get("operationTimeoutMs").asInt(), TimeUnit.MILLISECONDS);
        }
        if (a.has("login")) builder.authentication(loginOf(a.get("login")));
        if (a.has("trustedFile")) builder.tlsTrustCertsFilePath(a.get("trustedFile").asText());
        if (a.has("listenerName")) builder.listenerName(a.get("listenerName").asText());
        if (a.path("transactions").asBoolean()) builder.enableTransaction(true);
        return builder.build();
    }

    private static Authentication loginOf(JsonNode login) throws Exception {
        return switch (login.get("kind").asText()) {
            case "token" -> AuthenticationFactory.token(login.get("token").asText());
            case "basic" -> AuthenticationFactory.create("org.apache.pulsar.client.impl.auth.AuthenticationBasic",
                Driver.JSON.writeValueAsString(Map.of("userId", login.get("user").asText(), "password", login.get("password").asText())));
            default -> AuthenticationFactory.TLS(login.get("certificate").asText(), login.get("key").asText());
        };
    }

    static String text(JsonNode a, String name) {
        return a.hasNonNull(name) ? a.get(name).asText() : null;
    }

    static Map<String, String> texts(JsonNode node) {
        Map<String, String> map = new LinkedHashMap<>();
        node.fields().forEachRemaining(field -> map.put(field.getKey(), field.getValue().asText()));
        return map;
    }

    static Object idOut(MessageId id) {
        MessageIdAdv whole = (MessageIdAdv) id;
        return Map.of("ledger", whole.getLedgerId(), "entry", whole.getEntryId(), "batch", whole.getBatchIndex(), "partition", whole.getPartitionIndex(),
            "bytes", Base64.getEncoder().encodeToString(id.toByteArray()));
    }

    static MessageId idIn(String value) throws Exception {
        return switch (value) {
            case "earliest" -> MessageId.earliest;
            case "latest" -> MessageId.latest;
            default -> MessageId.fromByteArray(Base64.getDecoder().decode(value));
        };
    }

    static Schema<?> schemaOf(JsonNode a) {
        if (!a.hasNonNull("schema")) return Schema.BYTES;
        JsonNode spec = a.get("schema");
        return switch (spec.get("type").asText()) {
            case "STRING" -> Schema.STRING;
            case "INT32" -> Schema.INT32;
            case "JSON" -> Schema.JSON(recordOf(spec));
            case "AVRO" -> Schema.AVRO(recordOf(spec));
            case "AUTO_CONSUME" -> Schema.AUTO_CONSUME();
            default -> throw new IllegalArgumentException("no such schema in this driver: " + spec);
        };
    }

    static Class<?> recordOf(JsonNode spec) {
        return RECORDS.get(spec.get("record").asText());
    }
}
