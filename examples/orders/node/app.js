// The app that takes orders and keeps the last one, through its sidecar's state API.
//
// Needs Node 18 or newer and no package. `outrider run` gives it the ports.

const http = require('node:http');

const port = process.env.APP_PORT ?? '3000';
const sidecar = `http://127.0.0.1:${process.env.DAPR_HTTP_PORT ?? '3500'}`;
const store = `${sidecar}/v1.0/state/${process.env.STATE_STORE_NAME ?? 'statestore'}`;

// POST /neworder {"data":{"orderId":1}}
async function newOrder(body) {
  const { data } = JSON.parse(body);
  console.log(`got order ${data.orderId}`);
  const saved = await fetch(store, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify([{ key: 'order', value: data }]),
  });
  if (!saved.ok) {
    throw new Error(`the state store answered ${saved.status}: ${await saved.text()}`);
  }
  console.log(`kept order ${data.orderId}`);
  return '';
}

// GET /order
async function lastOrder() {
  const found = await fetch(`${store}/order`);
  if (!found.ok) {
    throw new Error(`the state store answered ${found.status}: ${await found.text()}`);
  }
  return found.text();
}

async function bodyOf(req) {
  const pieces = [];
  for await (const piece of req) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

const routes = {
  'POST /neworder': newOrder,
  'GET /order': lastOrder,
};

const server = http.createServer(async (req, res) => {
  const body = await bodyOf(req);
  const route = routes[`${req.method} ${req.url}`];
  try {
    if (!route) {
      res.writeHead(404).end();
      return;
    }
    const answer = await route(body);
    res.writeHead(200, { 'Content-Type': 'application/json' }).end(answer);
  } catch (error) {
    console.error(error.message);
    res.writeHead(500, { 'Content-Type': 'application/json' });
    res.end(JSON.stringify({ message: error.message }));
  }
});

server.listen(port, '127.0.0.1', () => console.log(`takes orders on port ${port}`));
process.on('SIGTERM', () => server.close(() => process.exit(0)));
