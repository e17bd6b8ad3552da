import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.pulsar.client.api.Consumer;
import org.apache.pulsar.client.api.Message;
import org.apache.pulsar.client.api.Producer;

/** A producer that publishes numbers at a rate, and a consumer that counts them, without a line of the protocol for each. */
final class Flow {
    private static final int BURST_MS = 10;
    private static final int RECEIVE_MS = 500;
    private static final int ERRORS_MAX = 10;

    private Flow() {}

    static void register(Driver driver) {
        driver.on("producer.pour", a -> Map.of("handle", driver.keep(new Pouring(driver.<Producing.Held>held(a, "handle").producer(), a))));
        driver.on("pouring.end", a -> driver.<Pouring>held(a, "handle").end(a.get("timeoutMs").asLong()));
        driver.on("consumer.drain", a -> Map.of("handle", driver.keep(new Draining(driver.<Consuming.Held>held(a, "handle").consumer, a))));
        driver.on("draining.counts", a -> driver.<Draining>held(a, "handle").counts());
        driver.on("draining.end", a -> driver.<Draining>held(a, "handle").end());
    }

    private static Thread started(Runnable work) {
        Thread thread = new Thread(work);
        thread.setDaemon(true);
        thread.start();
        return thread;
    }

    /** Publishes 0, 1, 2, …; number n has the key n % keys. */
    private static final class Pouring {
        private final Producer<Object> producer;
        private final int rate;
        private final int bytes;
        private final int keys;
        private final List<String> errors = new ArrayList<>();
        private final Thread thread;
        private volatile boolean stopped;
        private volatile int sent;
        private int acknowledged;
        private int failed;
        private long lastNanos = System.nanoTime();
        private long longestNanos;

        Pouring(Producer<Object> producer, JsonNode a) {
            this.producer = producer;
            rate = a.get("rate").asInt();
            bytes = a.get("bytes").asInt();
            keys = a.get("keys").asInt();
            thread = started(this::run);
        }

        private void run() {
            long startedAt = System.nanoTime();
            int number = 0;
            while (!stopped) {
                for (long due = (System.nanoTime() - startedAt) * rate / 1_000_000_000L; number < due && !stopped; number++) {
                    sent = number + 1;
                    byte[] value = String.format("%0" + bytes + "d", number).getBytes(StandardCharsets.US_ASCII);
                    producer.newMessage().key(Integer.toString(number % keys)).value(value).sendAsync().whenComplete((id, error) -> onReceipt(error));
                }
                try {
                    Thread.sleep(BURST_MS);
                } catch (InterruptedException interrupted) {
                    return;
                }
            }
        }

        private synchronized void onReceipt(Throwable error) {
            if (error != null) {
                failed++;
                if (errors.size() < ERRORS_MAX) errors.add(String.valueOf(error.getMessage()));
                return;
            }
            long now = System.nanoTime();
            acknowledged++;
            longestNanos = Math.max(longestNanos, now - lastNanos);
            lastNanos = now;
        }

        private synchronized boolean isAnswered() {
            return acknowledged + failed == sent;
        }

        Object end(long timeoutMs) throws Exception {
            stopped = true;
            thread.join();
            producer.flush();
            long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(timeoutMs);
            while (!isAnswered() && System.nanoTime() < until) Thread.sleep(BURST_MS);
            synchronized (this) {
                return Map.of("sent", sent, "acknowledged", acknowledged, "failed", failed, "errors", List.copyOf(errors),
                    "longestPauseMs", longestNanos / 1e6);
            }
        }
    }

    /** Receives and acknowledges until it is ended; of each number the first delivery counts. */
    private static final class Draining {
        private final Consumer<Object> consumer;
        private final int[] latest;
        private final BitSet seen = new BitSet();
        private final List<String> errors = new ArrayList<>();
        private final Thread thread;
        private volatile boolean stopped;
        private int again;
        private int disordered;

        Draining(Consumer<Object> consumer, JsonNode a) {
            this.consumer = consumer;
            latest = new int[a.get("keys").asInt()];
            Arrays.fill(latest, -1);
            thread = started(this::run);
        }

        private void run() {
            while (!stopped) {
                try {
                    Message<Object> message = consumer.receive(RECEIVE_MS, TimeUnit.MILLISECONDS);
                    if (message == null) continue;
                    take(Integer.parseInt(new String(message.getData(), StandardCharsets.US_ASCII)));
                    consumer.acknowledge(message);
                } catch (Exception error) {
                    note(error);
                }
            }
        }

        private synchronized void note(Exception error) {
            if (errors.size() < ERRORS_MAX) errors.add(String.valueOf(error.getMessage()));
        }

        private synchronized void take(int number) {
            if (seen.get(number)) {
                again++;
                return;
            }
            seen.set(number);
            int key = number % latest.length;
            if (number < latest[key]) disordered++;
            latest[key] = Math.max(latest[key], number);
        }

        synchronized Object counts() {
            return Map.of("received", seen.cardinality(), "again", again, "disordered", disordered, "errors", List.copyOf(errors));
        }

        Object end() throws Exception {
            stopped = true;
            thread.join();
            return counts();
        }
    }
}
