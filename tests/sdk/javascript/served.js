// The app side of the public JavaScript SDK, over gRPC. Listens on APP_PORT, and waits for its sidecar.
// What it has to do is in tests/sdk/README.md.

const { Code, ConnectError } = require('@connectrpc/connect');
const { CommunicationProtocolEnum, DaprServer, HttpMethod } = require('@dapr/dapr');

async function main() {
  const port = process.env.APP_PORT ?? '8002';
  const server = new DaprServer({
    serverHost: '127.0.0.1',
    serverPort: port,
    communicationProtocol: CommunicationProtocolEnum.GRPC,
    clientOptions: { daprHost: '127.0.0.1', daprPort: process.env.DAPR_GRPC_PORT },
  });
  const method = { method: HttpMethod.POST };
  const neworder = async ({ body }) => JSON.parse(body);
  await server.invoker.listen('neworder', neworder, method);
  // The Rust SDK sends no verb.
  await server.invoker.listen('neworder', neworder, { method: 'none' });
  // The SDK tells no metadata. Handlers have a verb, so the right one was sent.
  const about = async ({ query, metadata }) => ({ verb: 'PUT', query, contentType: metadata.contentType });
  await server.invoker.listen('about', about, { method: HttpMethod.PUT });
  const fail = async () => {
    throw new ConnectError('no such order', Code.NotFound);
  };
  await server.invoker.listen('fail', fail, method);
  await server.start();
  console.log(`serves on port ${port}`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
