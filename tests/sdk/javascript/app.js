// What the public JavaScript SDK does through our sidecar. Exits with 0 if all of it went well.
//
// The caller of this file sets DAPR_HTTP_PORT and DAPR_GRPC_PORT, and runs the apps to call, see
// tests/sdk/README.md: SDK_ECHO_ID is one that speaks HTTP, SDK_SERVED_ID one with an SDK's app side,
// SDK_PROXIED_ID one with the service sdk.Echo; our id is in SDK_APP_ID. A state store called "statestore"
// is loaded. The SDK speaks HTTP, or gRPC with SDK_PROTOCOL=grpc.

const assert = require('node:assert');
const { Code } = require('@connectrpc/connect');
const { CommunicationProtocolEnum, DaprClient, HttpMethod } = require('@dapr/dapr');
const proxied = require('./proxied.js');

const APP = process.env.SDK_APP_ID ?? 'sdk';
const ECHO = process.env.SDK_ECHO_ID ?? 'echo';
const { SDK_SERVED_ID: SERVED, SDK_PROXIED_ID: PROXIED } = process.env;
const GRPC = process.env.SDK_PROTOCOL === 'grpc';

function check(what, found, wanted) {
  assert.deepStrictEqual(found, wanted, what);
  console.log(`ok: ${what}`);
}

async function invoke(client) {
  const order = { orderId: 1 };
  check('invoke', await client.invoker.invoke(ECHO, 'neworder', HttpMethod.POST, order), order);
  await assert.rejects(
    client.invoker.invoke('nobody-knows-it', 'x', HttpMethod.GET),
    GRPC ? /couldn't find service/ : /ERR_DIRECT_INVOKE/,
  );
  console.log('ok: invoke an unknown app');
}

/** What of a call an app is told. The SDK sends neither query nor metadata, and tells none. */
async function about(client, app) {
  const found = await client.invoker.invoke(app, 'about', HttpMethod.PUT, { size: 2 });
  const sent = { verb: 'PUT', query: '', contentType: 'application/json', colour: '', caller: APP };
  delete found.served;
  const wanted = Object.fromEntries(Object.keys(found).map((key) => [key, sent[key]]));
  check('what the app is told', found, wanted);
  check('something of it', Object.keys(found).length > 0, true);
}

async function failure(client, app) {
  const call = client.invoker.invoke(app, 'fail', HttpMethod.POST, {});
  return call.then(
    () => assert.fail('a call to a method that fails did not'),
    (error) => error,
  );
}

async function http(client) {
  await about(client, ECHO);
  const error = await failure(client, ECHO);
  if (GRPC) {
    check('404 of an app', [error.code, error.rawMessage], [Code.NotFound, 'Not Found']);
    check('its details', error.details[0].type, 'google.rpc.ErrorInfo');
  } else {
    check('404 of an app', /no such order/.test(String(error)), true);
  }
}

async function served(client) {
  const order = { orderId: 1 };
  const answer = await client.invoker.invoke(SERVED, 'neworder', HttpMethod.POST, order);
  check('invoke a gRPC app', answer, order);
  await about(client, SERVED);
  const error = await failure(client, SERVED);
  check('its text', /no such order/.test(String(error)), true);
  if (GRPC) {
    // Of the SDKs only Python's app side can't choose the status.
    check('its status', [Code.NotFound, Code.Unknown].includes(error.code), true);
  }
}

async function metadata(client) {
  check('id', (await client.metadata.get()).id, APP);
  check('set metadata', await client.metadata.set('colour', 'green'), true);
  check('extended metadata', (await client.metadata.get()).extended.colour, 'green');
}

async function state(client) {
  await client.state.save('statestore', [
    { key: 'a', value: { n: 1 } },
    { key: 'b', value: 'text' },
  ]);
  check('state', await client.state.get('statestore', 'a'), { n: 1 });
  check('a text', await client.state.get('statestore', 'b'), 'text');
  const bulk = await client.state.getBulk('statestore', ['a', 'none']);
  check('bulk', bulk.map(({ key, data }) => [key, data]), [['a', { n: 1 }], ['none', GRPC ? '' : undefined]]);
  const late = [{ key: 'a', value: 2, etag: '77777', options: { concurrency: 1 } }];
  const refused = await client.state.save('statestore', late).catch((error) => ({ error }));
  check('a wrong etag is refused', /etag/.test(String(refused.error)), true);
  await client.state.transaction('statestore', [
    { operation: 'upsert', request: { key: 'c', value: 'three' } },
    { operation: 'delete', request: { key: 'b' } },
  ]);
  check('transaction', await client.state.get('statestore', 'c'), 'three');
  await client.state.delete('statestore', 'a');
  check('deleted', await client.state.get('statestore', 'a'), '');
}

async function main() {
  const client = new DaprClient({
    daprHost: '127.0.0.1',
    daprPort: GRPC ? process.env.DAPR_GRPC_PORT : process.env.DAPR_HTTP_PORT,
    communicationProtocol: GRPC ? CommunicationProtocolEnum.GRPC : CommunicationProtocolEnum.HTTP,
  });
  await client.start();
  check('health', await client.health.isHealthy(), true);
  await invoke(client);
  await http(client);
  await metadata(client);
  await state(client);
  if (SERVED) {
    await served(client);
  }
  if (PROXIED) {
    await proxied.run(check, PROXIED);
  }
  if (process.env.SDK_SHUTDOWN) {
    await client.sidecar.shutdown();
  }
  await client.stop();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
