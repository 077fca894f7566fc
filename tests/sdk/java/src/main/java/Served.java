import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.Empty;
import com.google.protobuf.StringValue;
import io.dapr.v1.AppCallbackGrpc.AppCallbackImplBase;
import io.dapr.v1.AppCallbackHealthCheckGrpc.AppCallbackHealthCheckImplBase;
import io.dapr.v1.CommonProtos.InvokeRequest;
import io.dapr.v1.CommonProtos.InvokeResponse;
import io.dapr.v1.DaprAppCallbackProtos.HealthCheckResponse;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The app side of the public Java SDK, that is its generated service, and a plain gRPC service beside it on
 * the same port. Listens on APP_PORT. What both have to do is in tests/sdk/README.md.
 */
public final class Served {
  private static final Context.Key<Metadata> TOLD = Context.key("told");

  private Served() {}

  public static void main(String[] args) throws Exception {
    int port = Integer.parseInt(App.env("APP_PORT", "8004"));
    var server = NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", port))
        .addService(new Callback())
        .addService(new Health())
        .addService(echo())
        .intercept(new Heads())
        .build()
        .start();
    System.out.println("serves on port " + port);
    server.awaitTermination();
  }

  private static final class Callback extends AppCallbackImplBase {
    @Override
    public void onInvoke(InvokeRequest request, StreamObserver<InvokeResponse> answers) {
      switch (request.getMethod()) {
        case "neworder" -> answer(answers, request.getContentType(), request.getData());
        case "about" -> {
          ByteString seen = ByteString.copyFromUtf8(about(request));
          answer(answers, "application/json", Any.newBuilder().setValue(seen).build());
        }
        case "fail" -> answers.onError(Status.NOT_FOUND.withDescription("no such order").asException());
        default -> answers.onError(Status.UNIMPLEMENTED.asException());
      }
    }

    private static void answer(StreamObserver<InvokeResponse> answers, String contentType, Any data) {
      answers.onNext(InvokeResponse.newBuilder().setContentType(contentType).setData(data).build());
      answers.onCompleted();
    }

    private static String about(InvokeRequest request) {
      Map<String, Object> seen = Map.of(
          "verb", request.getHttpExtension().getVerb().name(),
          "query", request.getHttpExtension().getQuerystring(),
          "contentType", request.getContentType(),
          "colour", told("x-colour"),
          "caller", told("dapr-caller-app-id"),
          "served", true);
      try {
        return new ObjectMapper().writeValueAsString(seen);
      } catch (JsonProcessingException error) {
        throw new IllegalStateException(error);
      }
    }
  }

  private static final class Health extends AppCallbackHealthCheckImplBase {
    @Override
    public void healthCheck(Empty request, StreamObserver<HealthCheckResponse> answers) {
      answers.onNext(HealthCheckResponse.getDefaultInstance());
      answers.onCompleted();
    }
  }

  private static String told(String name) {
    String found = TOLD.get().get(Proxied.text(name));
    return found == null ? "" : found;
  }

  private static ServerServiceDefinition echo() {
    return ServerServiceDefinition.builder("sdk.Echo")
        .addMethod(Echo.UNARY, ServerCalls.asyncUnaryCall(Served::unary))
        .addMethod(Echo.SERVER, ServerCalls.asyncServerStreamingCall(Served::server))
        .addMethod(Echo.CLIENT, ServerCalls.asyncClientStreamingCall(Collects::new))
        .addMethod(Echo.BIDI, ServerCalls.asyncBidiStreamingCall(Repeats::new))
        .build();
  }

  private static void unary(StringValue request, StreamObserver<StringValue> answers) {
    if (!request.getValue().equals("wait") && one(request, answers)) {
      answers.onCompleted();
    }
  }

  private static void server(StringValue request, StreamObserver<StringValue> answers) {
    for (int number = 1; number <= 3; number++) {
      answers.onNext(StringValue.of(request.getValue() + " " + number));
    }
    answers.onCompleted();
  }

  /** Whether the call goes on. */
  private static boolean one(StringValue request, StreamObserver<StringValue> answers) {
    if (request.getValue().equals("fail")) {
      answers.onError(Status.FAILED_PRECONDITION.withDescription("told to fail").asException());
      return false;
    }
    answers.onNext(request);
    return true;
  }

  private static class Repeats implements StreamObserver<StringValue> {
    final StreamObserver<StringValue> answers;

    Repeats(StreamObserver<StringValue> answers) {
      this.answers = answers;
    }

    @Override
    public void onNext(StringValue message) {
      one(message, answers);
    }

    @Override
    public void onError(Throwable error) {
      // The caller has left.
    }

    @Override
    public void onCompleted() {
      answers.onCompleted();
    }
  }

  private static final class Collects extends Repeats {
    private final List<String> texts = new ArrayList<>();

    Collects(StreamObserver<StringValue> answers) {
      super(answers);
    }

    @Override
    public void onNext(StringValue message) {
      texts.add(message.getValue());
    }

    @Override
    public void onCompleted() {
      answers.onNext(StringValue.of(String.join(",", texts)));
      super.onCompleted();
    }
  }

  /** Keeps what a call brought, sends it with the answer's head, and has trailers of its own. */
  private static final class Heads implements ServerInterceptor {
    private static final Metadata.Key<String> SERVED = Proxied.text("x-served");

    @Override
    public <Q, A> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, A> call, Metadata told, ServerCallHandler<Q, A> next) {
      var headed = new SimpleForwardingServerCall<>(call) {
        @Override
        public void sendHeaders(Metadata head) {
          head.put(SERVED, "yes");
          if (told.containsKey(Proxied.COLOUR)) {
            head.put(Proxied.SEEN, told.get(Proxied.COLOUR));
          }
          if (told.containsKey(Proxied.COLOUR_BIN)) {
            head.put(Proxied.SEEN_BIN, told.get(Proxied.COLOUR_BIN));
          }
          super.sendHeaders(head);
        }

        @Override
        public void close(Status status, Metadata end) {
          end.put(Proxied.END, "done");
          super.close(status, end);
        }
      };
      return Contexts.interceptCall(Context.current().withValue(TOLD, told), headed, told, next);
    }
  }
}
