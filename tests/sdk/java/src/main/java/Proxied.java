import com.google.protobuf.StringValue;
import io.dapr.client.DaprClient;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;

/** Calls of sdk.Echo: the sidecar passes them on to the app that the SDK puts into `dapr-app-id`. */
final class Proxied {
  static final Metadata.Key<String> COLOUR = text("x-colour");
  static final Metadata.Key<byte[]> COLOUR_BIN = bytes("x-colour-bin");
  static final Metadata.Key<String> SEEN = text("x-seen");
  static final Metadata.Key<byte[]> SEEN_BIN = bytes("x-seen-bin");
  static final Metadata.Key<String> END = text("x-end");
  private static final int PINGS = 20;

  private final DaprClient client;
  private final Echo echo;

  private Proxied(DaprClient client, Echo echo) {
    this.client = client;
    this.echo = echo;
  }

  static void run(DaprClient client, String app) throws InterruptedException {
    Metadata sent = new Metadata();
    sent.put(COLOUR, "green");
    sent.put(COLOUR_BIN, new byte[] {0, -1});
    Echo echo = client.newGrpcStub(app, Echo::new);
    Proxied proxied = new Proxied(client, echo.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(sent)));
    proxied.unary();
    proxied.failures();
    proxied.streams();
    proxied.bidi();
  }

  private void unary() {
    var head = new AtomicReference<Metadata>();
    var end = new AtomicReference<Metadata>();
    Echo heard = echo.withInterceptors(MetadataUtils.newCaptureMetadataInterceptor(head, end));
    App.check("proxied unary", heard.unary("hi"), "hi");
    App.check("its head", head.get().get(SEEN), "green");
    byte[] found = head.get().get(SEEN_BIN);
    App.check("its bytes", List.of((int) found[0], (int) found[1], found.length), List.of(0, -1, 2));
    App.check("its trailers", end.get().get(END), "done");
    String big = "x".repeat(1 << 20);
    App.check("a mebibyte", echo.unary(big).equals(big), true);
  }

  private void failures() {
    StatusRuntimeException error = failure(() -> echo.unary("fail"));
    App.check("the app's status", error.getStatus().getCode(), Status.Code.FAILED_PRECONDITION);
    App.check("its text", error.getStatus().getDescription(), "told to fail");
    App.check("its trailers", error.getTrailers().get(END), "done");
    error = failure(() -> echo.withDeadlineAfter(500, TimeUnit.MILLISECONDS).unary("wait"));
    App.check("a deadline", error.getStatus().getCode(), Status.Code.DEADLINE_EXCEEDED);
    Echo unknown = client.newGrpcStub("nobody-knows-it", Echo::new);
    error = failure(() -> unknown.unary("hi"));
    App.check("an unknown app", error.getStatus().getCode(), Status.Code.UNKNOWN);
  }

  private static StatusRuntimeException failure(Runnable call) {
    try {
      call.run();
    } catch (StatusRuntimeException error) {
      return error;
    }
    throw new AssertionError("a call that has to fail did not");
  }

  private void streams() throws InterruptedException {
    var answers = new Answers();
    echo.server("a", answers);
    App.check("proxied server stream", answers.take(4), List.of("a 1", "a 2", "a 3", "!OK"));
    answers = new Answers();
    StreamObserver<StringValue> call = echo.client(answers);
    for (String text : List.of("a", "b", "c")) {
      call.onNext(StringValue.of(text));
    }
    call.onCompleted();
    App.check("proxied client stream", answers.take(2), List.of("a,b,c", "!OK"));
  }

  private void bidi() throws InterruptedException {
    var answers = new Answers();
    StreamObserver<StringValue> call = echo.bidi(answers);
    for (int number = 0; number < PINGS; number++) {
      call.onNext(StringValue.of("ping " + number));
      App.check("ping " + number, answers.take(1), List.of("ping " + number));
    }
    call.onCompleted();
    App.check("proxied bidi stream", answers.take(1), List.of("!OK"));

    answers = new Answers();
    call = echo.bidi(answers);
    call.onNext(StringValue.of("a"));
    call.onNext(StringValue.of("fail"));
    App.check("a failure in a stream", answers.take(2), List.of("a", "!FAILED_PRECONDITION"));

    answers = new Answers();
    call = echo.bidi(answers);
    call.onNext(StringValue.of("a"));
    App.check("before the end by the caller", answers.take(1), List.of("a"));
    ((ClientCallStreamObserver<StringValue>) call).cancel("enough", null);
    App.check("the end by the caller", answers.take(1), List.of("!CANCELLED"));
  }

  static Metadata.Key<String> text(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }

  private static Metadata.Key<byte[]> bytes(String name) {
    return Metadata.Key.of(name, Metadata.BINARY_BYTE_MARSHALLER);
  }

  /** What came back, the end of it as a text too. */
  private static final class Answers implements StreamObserver<StringValue> {
    private final BlockingQueue<String> came = new LinkedBlockingQueue<>();

    List<String> take(int count) throws InterruptedException {
      String[] found = new String[count];
      for (int at = 0; at < count; at++) {
        found[at] = String.valueOf(came.poll(20, TimeUnit.SECONDS));
      }
      return List.of(found);
    }

    @Override
    public void onNext(StringValue answer) {
      came.add(answer.getValue());
    }

    @Override
    public void onError(Throwable error) {
      came.add("!" + Status.fromThrowable(error).getCode());
    }

    @Override
    public void onCompleted() {
      came.add("!OK");
    }
  }
}
