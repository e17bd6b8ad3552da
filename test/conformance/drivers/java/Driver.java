import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.apache.pulsar.client.api.PulsarClientException;

/**
 * The drivers' line protocol: one JSON command a line on stdin, one JSON answer a line on stdout; see ../../README.md. Every command has its
 * own thread, because most calls of the libraries block. Shared by the client's driver and by the admin client's (../java-admin).
 */
final class Driver {
    static final ObjectMapper JSON = new ObjectMapper();

    interface Operation {
        Object run(JsonNode arguments) throws Exception;
    }

    private final PrintStream out;
    private final Map<Integer, Object> handles = new ConcurrentHashMap<>();
    private final AtomicInteger nextHandle = new AtomicInteger();
    private final Map<String, Operation> operations = new ConcurrentHashMap<>();

    private Driver(PrintStream out) {
        this.out = out;
    }

    int keep(Object thing) {
        int handle = nextHandle.incrementAndGet();
        handles.put(handle, thing);
        return handle;
    }

    /** The object behind the handle that the argument of this name holds. */
    @SuppressWarnings("unchecked")
    <T> T held(JsonNode arguments, String name) {
        Object thing = handles.get(arguments.get(name).asInt());
        if (thing == null) throw new IllegalStateException("no handle " + arguments.get(name));
        return (T) thing;
    }

    void on(String name, Operation operation) {
        operations.put(name, operation);
    }

    private synchronized void write(ObjectNode line) {
        out.println(line);
        out.flush();
    }

    private void answer(JsonNode request) {
        ObjectNode reply = JSON.createObjectNode();
        reply.set("id", request.get("id"));
        try {
            Operation operation = operations.get(request.get("op").asText());
            if (operation == null) throw new UnsupportedOperationException(request.get("op").asText());
            reply.set("ok", JSON.valueToTree(operation.run(request.get("args"))));
        } catch (Throwable thrown) {
            Throwable error = causeOf(thrown);
            reply.remove("ok");
            reply.putObject("error").put("code", codeOf(error)).put("message", String.valueOf(error.getMessage()));
        }
        write(reply);
    }

    private static Throwable causeOf(Throwable thrown) {
        boolean wrapped = thrown instanceof CompletionException || thrown instanceof ExecutionException
            || thrown.getClass() == PulsarClientException.class || thrown.getClass() == RuntimeException.class;
        return wrapped && thrown.getCause() != null ? causeOf(thrown.getCause()) : thrown;
    }

    private static String codeOf(Throwable error) {
        return error.getClass().getSimpleName().replaceAll("Exception$", "");
    }

    /** Answers stdin until it ends. @param version How the library names itself. @param operations Puts its operations into the driver. */
    static void serve(String version, Consumer<Driver> operations) throws IOException {
        Driver driver = new Driver(System.out);
        System.setOut(System.err); // nothing else may write into our answers
        operations.accept(driver);
        driver.write(JSON.createObjectNode().put("ready", version));
        ExecutorService threads = Executors.newCachedThreadPool();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode request = JSON.readTree(line);
            threads.execute(() -> driver.answer(request));
        }
        Runtime.getRuntime().halt(0); // the runner went away: threads may still be inside blocking calls
    }
}
