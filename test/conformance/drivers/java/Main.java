import org.apache.pulsar.client.api.PulsarClient;

/** The Java client (org.apache.pulsar:pulsar-client) as a driver. */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws Exception {
        String version = "pulsar-client (Java) " + PulsarClient.class.getPackage().getImplementationVersion();
        Driver.serve(version, driver -> {
            Clients.register(driver);
            Producing.register(driver);
            Consuming.register(driver);
            Flow.register(driver);
        });
    }
}
