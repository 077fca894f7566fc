// Calls of sdk.Echo with plain gRPC: the sidecar passes them on to the app that `dapr-app-id` names.

const { once } = require('node:events');
const grpc = require('@grpc/grpc-js');
const definition = require('./messages.js');

const PINGS = 20;

function metadata(app) {
  const it = new grpc.Metadata();
  it.set('dapr-app-id', app);
  it.set('x-colour', 'green');
  it.set('x-colour-bin', Buffer.from([0, 255]));
  return it;
}

/** A call with one answer: what it brought, failures too. */
function answer(start) {
  return new Promise((resolve) => {
    const found = {};
    let answered = false;
    const settle = () => answered && found.status && resolve(found);
    found.call = start((error, value) => {
      Object.assign(found, { error, value });
      answered = true;
      settle();
    });
    found.call.on('metadata', (head) => (found.head = head));
    found.call.on('status', (status) => {
      found.status = status;
      settle();
    });
  });
}

async function run(check, app) {
  const address = `127.0.0.1:${process.env.DAPR_GRPC_PORT ?? '50001'}`;
  const Echo = grpc.makeGenericClientConstructor(definition, 'sdk.Echo');
  const echo = new Echo(address, grpc.credentials.createInsecure());
  await new Promise((resolve, reject) =>
    echo.waitForReady(Date.now() + 20_000, (error) => (error ? reject(error) : resolve())),
  );
  await unary(check, echo, app);
  await failures(check, echo, app);
  await streams(check, echo, app);
  await bidi(check, echo, app);
  echo.close();
}

async function unary(check, echo, app) {
  const found = await answer((done) => echo.unary('hi', metadata(app), done));
  check('proxied unary', found.value, 'hi');
  check('its head', found.head.get('x-seen'), ['green']);
  check('its bytes', found.head.get('x-seen-bin'), [Buffer.from([0, 255])]);
  check('its trailers', found.status.metadata.get('x-end'), ['done']);
  const big = 'x'.repeat(1 << 20);
  check('a mebibyte', (await answer((done) => echo.unary(big, metadata(app), done))).value, big);
}

async function failures(check, echo, app) {
  const { error } = await answer((done) => echo.unary('fail', metadata(app), done));
  check("the app's status", error.code, grpc.status.FAILED_PRECONDITION);
  check('its text', error.details, 'told to fail');
  check('its trailers', error.metadata.get('x-end'), ['done']);
  const deadline = Date.now() + 500;
  const late = await answer((done) => echo.unary('wait', metadata(app), { deadline }, done));
  check('a deadline', late.error.code, grpc.status.DEADLINE_EXCEEDED);
  const unknown = await answer((done) => echo.unary('hi', metadata('nobody-knows-it'), done));
  check('an unknown app', unknown.error.code, grpc.status.UNKNOWN);
}

async function streams(check, echo, app) {
  const answers = await echo.server('a', metadata(app)).toArray();
  check('proxied server stream', answers, ['a 1', 'a 2', 'a 3']);
  const found = await answer((done) => {
    const call = echo.client(metadata(app), done);
    ['a', 'b', 'c'].forEach((text) => call.write(text));
    call.end();
    return call;
  });
  check('proxied client stream', found.value, 'a,b,c');
}

async function bidi(check, echo, app) {
  let call = echo.bidi(metadata(app));
  const found = [];
  const wanted = Array.from({ length: PINGS }, (_, number) => `ping ${number}`);
  for (const text of wanted) {
    call.write(text);
    found.push((await once(call, 'data'))[0]);
  }
  check('proxied bidi stream', found, wanted);
  call.end();
  check('its end', (await once(call, 'status'))[0].code, grpc.status.OK);

  call = echo.bidi(metadata(app));
  call.write('a');
  check('before a failure', (await once(call, 'data'))[0], 'a');
  call.write('fail');
  const error = await once(call, 'data').catch((it) => it);
  check('a failure in a stream', error.code, grpc.status.FAILED_PRECONDITION);

  call = echo.bidi(metadata(app));
  call.write('a');
  check('before the end by the caller', (await once(call, 'data'))[0], 'a');
  call.cancel();
  const cancelled = await once(call, 'data').catch((it) => it);
  check('the end by the caller', cancelled.code, grpc.status.CANCELLED);
}

module.exports = { run };
