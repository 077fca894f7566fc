// A plain gRPC service: the SDK's app side has its port for itself. Listens on APP_PORT.
// What it has to do is in tests/sdk/README.md.

const grpc = require('@grpc/grpc-js');
const definition = require('./messages.js');

/** Sends what the call brought, and returns what to send at its end. */
function head(call) {
  const [colour = ''] = call.metadata.get('x-colour');
  const [binary = Buffer.alloc(0)] = call.metadata.get('x-colour-bin');
  const sent = new grpc.Metadata();
  sent.set('x-seen', colour);
  sent.set('x-seen-bin', binary);
  call.sendMetadata(sent);
  const end = new grpc.Metadata();
  end.set('x-end', 'done');
  return end;
}

const failure = (metadata) => ({
  code: grpc.status.FAILED_PRECONDITION,
  details: 'told to fail',
  metadata,
});

function unary(call, done) {
  const end = head(call);
  if (call.request === 'wait') {
    return;
  }
  done(call.request === 'fail' ? failure(end) : null, call.request, end);
}

function server(call) {
  const end = head(call);
  for (const number of [1, 2, 3]) {
    call.write(`${call.request} ${number}`);
  }
  call.end(end);
}

function client(call, done) {
  const end = head(call);
  const texts = [];
  call.on('data', (text) => texts.push(text));
  call.on('end', () => done(null, texts.join(','), end));
}

function bidi(call) {
  const end = head(call);
  call.on('data', (text) => {
    if (text === 'fail') {
      call.emit('error', failure(end));
    } else {
      call.write(text);
    }
  });
  call.on('end', () => call.end(end));
}

const app = new grpc.Server();
app.addService(definition, { unary, server, client, bidi });
const port = process.env.APP_PORT ?? '8002';
app.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) {
    throw error;
  }
  console.log(`serves on port ${port}`);
});
