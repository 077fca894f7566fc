// sdk.Echo by hand: the messages are a type that each protobuf library brings along.

const { StringValue } = require('google-protobuf/google/protobuf/wrappers_pb.js');

const encode = (text) => {
  const message = new StringValue();
  message.setValue(text);
  return Buffer.from(message.serializeBinary());
};
const decode = (bytes) => StringValue.deserializeBinary(bytes).getValue();

const method = (name, requestStream, responseStream) => ({
  path: `/sdk.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: encode,
  requestDeserialize: decode,
  responseSerialize: encode,
  responseDeserialize: decode,
});

module.exports = {
  unary: method('Unary', false, false),
  server: method('Server', false, true),
  client: method('Client', true, false),
  bidi: method('Bidi', true, true),
};
