import io.dapr.client.DaprClient;
import io.dapr.client.DaprClientBuilder;
import io.dapr.client.domain.HttpExtension;
import io.dapr.client.domain.State;
import io.dapr.client.domain.StateOptions;
import io.dapr.client.domain.TransactionalStateOperation;
import io.dapr.client.domain.TransactionalStateOperation.OperationType;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/**
 * What the public Java SDK does through our sidecar. Exits with 0 if all of it went well.
 *
 * <p>The caller of this program sets DAPR_HTTP_PORT and DAPR_GRPC_PORT, and runs an app that answers
 * with what it gets: its id is in SDK_ECHO_ID, ours in SDK_APP_ID. A state store called "statestore"
 * is loaded. Calls go over HTTP, all else over gRPC: the SDK chooses. It has no method that sets
 * metadata.
 */
public final class App {
  private static final String STORE = "statestore";

  private App() {}

  public static void main(String[] args) throws Exception {
    try (DaprClient client = new DaprClientBuilder().build()) {
      client.waitForSidecar(20_000).block();
      invoke(client);
      metadata(client);
      state(client);
      transaction(client);
      if (System.getenv("SDK_SHUTDOWN") != null) {
        client.shutdown().block();
      }
    }
    // The SDK's threads outlive its client.
    System.exit(0);
  }

  private static void invoke(DaprClient client) {
    Map<?, ?> order = Map.of("orderId", 1);
    String echo = env("SDK_ECHO_ID", "echo");
    check("invoke", client.invokeMethod(echo, "neworder", order, HttpExtension.POST, Map.class).block(), order);
    String told = failure(() -> client.invokeMethod("nobody-knows-it", "x", null, HttpExtension.GET).block());
    check("invoke an unknown app", told.contains("ERR_DIRECT_INVOKE"), true);
  }

  private static void metadata(DaprClient client) {
    var found = client.getMetadata().block();
    check("id", found.getId(), env("SDK_APP_ID", "sdk"));
    check("components", found.getComponents().stream().anyMatch(it -> it.getName().equals(STORE)), true);
  }

  private static void state(DaprClient client) {
    client.saveState(STORE, "a", Map.of("n", 1)).block();
    State<Map> first = client.getState(STORE, "a", Map.class).block();
    check("state", first.getValue(), Map.of("n", 1));
    client.saveState(STORE, "a", first.getEtag(), Map.of("n", 2), null).block();
    var strict = new StateOptions(StateOptions.Consistency.STRONG, StateOptions.Concurrency.FIRST_WRITE);
    String told = failure(() -> client.saveState(STORE, "a", "77777", "late", strict).block());
    check("a wrong etag is refused", told.contains("etag"), true);
    Map<String, String> several = new TreeMap<>();
    for (State<Map> it : client.getBulkState(STORE, List.of("a", "none"), Map.class).block()) {
      several.put(it.getKey(), String.valueOf(it.getValue()));
    }
    check("bulk", several, Map.of("a", "{n=2}", "none", "null"));
    client.deleteState(STORE, "a").block();
    check("deleted", client.getState(STORE, "a", Map.class).block().getValue(), null);
  }

  private static void transaction(DaprClient client) {
    client.saveState(STORE, "b", 1).block();
    List<TransactionalStateOperation<?>> operations = new ArrayList<>();
    operations.add(new TransactionalStateOperation<>(OperationType.UPSERT, new State<>("c", 3, "")));
    operations.add(new TransactionalStateOperation<>(OperationType.DELETE, new State<>("b")));
    client.executeStateTransaction(STORE, operations).block();
    check("set in a transaction", client.getState(STORE, "c", Integer.class).block().getValue(), 3);
    check("deleted in it", client.getState(STORE, "b", Integer.class).block().getValue(), null);
  }

  /** What it is told that must not go well. */
  private static String failure(Runnable call) {
    try {
      call.run();
    } catch (RuntimeException error) {
      return String.valueOf(error.getMessage());
    }
    return "it went well";
  }

  private static void check(String what, Object found, Object wanted) {
    if (!Objects.equals(found, wanted)) {
      throw new AssertionError(what + ": found " + found + ", wanted " + wanted);
    }
    System.out.println("ok: " + what);
  }

  private static String env(String name, String otherwise) {
    String value = System.getenv(name);
    return value == null ? otherwise : value;
  }
}
