// What the public JavaScript SDK does through our sidecar, over HTTP. Exits with 0 if all went well.
//
// The caller of this file sets DAPR_HTTP_PORT, and runs an app that answers with what it gets: its id
// is in SDK_ECHO_ID, ours in SDK_APP_ID. A state store called "statestore" is loaded.

const assert = require('node:assert');
const { CommunicationProtocolEnum, DaprClient, HttpMethod } = require('@dapr/dapr');

const APP = process.env.SDK_APP_ID ?? 'sdk';
const ECHO = process.env.SDK_ECHO_ID ?? 'echo';

function check(what, found, wanted) {
  assert.deepStrictEqual(found, wanted, what);
  console.log(`ok: ${what}`);
}

async function invoke(client) {
  const order = { orderId: 1 };
  check('invoke', await client.invoker.invoke(ECHO, 'neworder', HttpMethod.POST, order), order);
  await assert.rejects(
    client.invoker.invoke('nobody-knows-it', 'x', HttpMethod.GET),
    /ERR_DIRECT_INVOKE/,
  );
  console.log('ok: invoke an unknown app');
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
  check('bulk', bulk.map(({ key, data }) => [key, data]), [['a', { n: 1 }], ['none', undefined]]);
  const late = [{ key: 'a', value: 2, etag: '77777', options: { concurrency: 1 } }];
  const refused = await client.state.save('statestore', late).catch((error) => ({ error }));
  check('a wrong etag is refused', /etag/.test(String(refused.error)), true);
  await client.state.transaction('statestore', [
    { operation: 'upsert', request: { key: 'c', value: 3 } },
    { operation: 'delete', request: { key: 'b' } },
  ]);
  check('transaction', await client.state.get('statestore', 'c'), 3);
  await client.state.delete('statestore', 'a');
  check('deleted', await client.state.get('statestore', 'a'), '');
}

async function main() {
  const client = new DaprClient({
    daprHost: '127.0.0.1',
    daprPort: process.env.DAPR_HTTP_PORT,
    communicationProtocol: CommunicationProtocolEnum.HTTP,
  });
  await client.start();
  check('health', await client.health.isHealthy(), true);
  await invoke(client);
  await metadata(client);
  await state(client);
  if (process.env.SDK_SHUTDOWN) {
    await client.sidecar.shutdown();
  }
  await client.stop();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
