import com.google.protobuf.StringValue;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.stub.AbstractStub;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;

/** sdk.Echo by hand: the messages are a type that each protobuf library brings along. */
final class Echo extends AbstractStub<Echo> {
  static final MethodDescriptor<StringValue, StringValue> UNARY = method("Unary", MethodType.UNARY);
  static final MethodDescriptor<StringValue, StringValue> SERVER = method("Server", MethodType.SERVER_STREAMING);
  static final MethodDescriptor<StringValue, StringValue> CLIENT = method("Client", MethodType.CLIENT_STREAMING);
  static final MethodDescriptor<StringValue, StringValue> BIDI = method("Bidi", MethodType.BIDI_STREAMING);

  Echo(Channel channel) {
    this(channel, CallOptions.DEFAULT);
  }

  private Echo(Channel channel, CallOptions options) {
    super(channel, options);
  }

  @Override
  protected Echo build(Channel channel, CallOptions options) {
    return new Echo(channel, options);
  }

  String unary(String text) {
    return ClientCalls.blockingUnaryCall(getChannel(), UNARY, getCallOptions(), StringValue.of(text)).getValue();
  }

  void server(String text, StreamObserver<StringValue> answers) {
    ClientCalls.asyncServerStreamingCall(
        getChannel().newCall(SERVER, getCallOptions()), StringValue.of(text), answers);
  }

  StreamObserver<StringValue> client(StreamObserver<StringValue> answers) {
    return ClientCalls.asyncClientStreamingCall(getChannel().newCall(CLIENT, getCallOptions()), answers);
  }

  StreamObserver<StringValue> bidi(StreamObserver<StringValue> answers) {
    return ClientCalls.asyncBidiStreamingCall(getChannel().newCall(BIDI, getCallOptions()), answers);
  }

  private static MethodDescriptor<StringValue, StringValue> method(String name, MethodType kind) {
    var codec = ProtoUtils.marshaller(StringValue.getDefaultInstance());
    return MethodDescriptor.newBuilder(codec, codec)
        .setFullMethodName("sdk.Echo/" + name)
        .setType(kind)
        .build();
  }
}
