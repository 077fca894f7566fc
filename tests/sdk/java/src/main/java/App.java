import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import io.dapr.client.DaprClient;
import io.dapr.client.DaprClientBuilder;
import io.dapr.client.DaprHttp.HttpMethods;
import io.dapr.client.domain.HttpExtension;
import io.dapr.client.domain.InvokeMethodRequest;
import io.dapr.client.domain.State;
import io.dapr.client.domain.StateOptions;
import io.dapr.client.domain.TransactionalStateOperation;
import io.dapr.client.domain.TransactionalStateOperation.OperationType;
import io.dapr.utils.TypeRef;
import io.dapr.v1.CommonProtos.HTTPExtension;
import io.dapr.v1.CommonProtos.InvokeRequest;
import io.dapr.v1.CommonProtos.InvokeResponse;
import io.dapr.v1.DaprGrpc;
import io.dapr.v1.DaprInvokeProtos.InvokeServiceRequest;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.MetadataUtils;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;

/**
 * What the public Java SDK does through our sidecar. Exits with 0 if all of it went well.
 *
 * <p>The caller of this program sets DAPR_HTTP_PORT and DAPR_GRPC_PORT, and runs the apps to call, see
 * tests/sdk/README.md: SDK_ECHO_ID is one that speaks HTTP, SDK_SERVED_ID one with an SDK's app side,
 * SDK_PROXIED_ID one with the service sdk.Echo; our id is in SDK_APP_ID. A state store called "statestore"
 * is loaded. The SDK's client calls over HTTP and does all else over gRPC, so calls over gRPC go through
 * the client that it generates from the protobuf definitions. It has no method that sets metadata.
 */
public final class App {
  private static final String STORE = "statestore";

  private App() {}

  public static void main(String[] args) throws Exception {
    try (DaprClient client = new DaprClientBuilder().build()) {
      client.waitForSidecar(20_000).block();
      String echo = env("SDK_ECHO_ID", "echo");
      invoke(client, echo);
      about(client, echo);
      metadata(client);
      state(client);
      transaction(client);
      if (System.getenv("SDK_SERVED_ID") != null) {
        served(client, System.getenv("SDK_SERVED_ID"));
      }
      generated(echo, System.getenv("SDK_SERVED_ID"));
      if (System.getenv("SDK_PROXIED_ID") != null) {
        Proxied.run(client, System.getenv("SDK_PROXIED_ID"));
      }
      if (System.getenv("SDK_SHUTDOWN") != null) {
        client.shutdown().block();
      }
    }
    // The SDK's threads outlive its client.
    System.exit(0);
  }

  private static void invoke(DaprClient client, String echo) {
    Map<?, ?> order = Map.of("orderId", 1);
    check("invoke", client.invokeMethod(echo, "neworder", order, HttpExtension.POST, Map.class).block(), order);
    String told = failure(() -> client.invokeMethod("nobody-knows-it", "x", null, HttpExtension.GET).block());
    check("invoke an unknown app", told.contains("ERR_DIRECT_INVOKE"), true);
  }

  /** What of a call over HTTP an app is told. */
  private static void about(DaprClient client, String app) {
    var request = new InvokeMethodRequest(app, "about")
        .setBody("<a/>".getBytes())
        .setContentType("text/xml")
        .setHttpExtension(
            new HttpExtension(HttpMethods.PUT, Map.of("size", List.of("2")), Map.of("x-colour", "green")));
    told(client.invokeMethod(request, new TypeRef<Map<String, Object>>() {}).block());
  }

  private static void told(Map<String, Object> found) {
    Map<String, Object> wanted = new TreeMap<>(Map.of(
        "verb", "PUT", "query", "size=2", "contentType", "text/xml",
        "colour", "green", "caller", env("SDK_APP_ID", "sdk"), "served", true));
    wanted.keySet().retainAll(found.keySet());
    check("what the app is told", new TreeMap<>(found), wanted);
    check("something of it", found.isEmpty(), false);
  }

  /** HTTP to an app that speaks gRPC. */
  private static void served(DaprClient client, String app) {
    Map<?, ?> order = Map.of("orderId", 1);
    Map<?, ?> answer = client.invokeMethod(app, "neworder", order, HttpExtension.POST, Map.class).block();
    check("invoke a gRPC app", answer, order);
    about(client, app);
    String told = failure(() -> client.invokeMethod(app, "fail", null, HttpExtension.POST).block());
    check("its text", told.contains("no such order"), true);
  }

  /** The same calls over gRPC. */
  private static void generated(String echo, String served) throws Exception {
    int port = Integer.parseInt(env("DAPR_GRPC_PORT", "50001"));
    var channel = ManagedChannelBuilder.forAddress("127.0.0.1", port).usePlaintext().build();
    Metadata sent = new Metadata();
    sent.put(Proxied.COLOUR, "green");
    var head = new AtomicReference<Metadata>();
    var dapr = DaprGrpc.newBlockingStub(channel).withInterceptors(
        MetadataUtils.newAttachHeadersInterceptor(sent),
        MetadataUtils.newCaptureMetadataInterceptor(head, new AtomicReference<>()));
    for (String app : served == null ? List.of(echo) : List.of(echo, served)) {
      InvokeResponse answer = dapr.invokeService(to(app, "about", HTTPExtension.Verb.PUT));
      byte[] data = answer.getData().getValue().toByteArray();
      Map<String, Object> found = new ObjectMapper().readValue(data, new TypeReference<>() {});
      told(found);
      check("its content type", answer.getContentType(), "application/json");
      String added = head.get().get(Proxied.text("x-served"));
      check("what the app adds", added, found.containsKey("served") ? "yes" : null);
      Status status = refusal(() -> dapr.invokeService(to(app, "fail", HTTPExtension.Verb.POST)));
      // Of the SDKs only Python's app side can't choose the status.
      boolean right = List.of(Status.Code.NOT_FOUND, Status.Code.UNKNOWN).contains(status.getCode());
      check("the status of a failure", right, true);
      String text = app.equals(echo) ? "Not Found" : "no such order";
      check("its text", status.getDescription().contains(text), true);
    }
    channel.shutdown().awaitTermination(5, TimeUnit.SECONDS);
  }

  private static InvokeServiceRequest to(String app, String method, HTTPExtension.Verb verb) {
    var message = InvokeRequest.newBuilder()
        .setMethod(method)
        .setContentType("text/xml")
        .setData(Any.newBuilder().setValue(ByteString.copyFromUtf8("<a/>")))
        .setHttpExtension(HTTPExtension.newBuilder().setVerb(verb).setQuerystring("size=2"));
    return InvokeServiceRequest.newBuilder().setId(app).setMessage(message).build();
  }

  private static Status refusal(Runnable call) {
    try {
      call.run();
    } catch (StatusRuntimeException error) {
      return error.getStatus();
    }
    return Status.OK;
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

  static void check(String what, Object found, Object wanted) {
    if (!Objects.equals(found, wanted)) {
      throw new AssertionError(what + ": found " + found + ", wanted " + wanted);
    }
    System.out.println("ok: " + what);
  }

  static String env(String name, String otherwise) {
    String value = System.getenv(name);
    return value == null ? otherwise : value;
  }
}
