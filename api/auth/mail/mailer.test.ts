import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { type Mail, smtpMailer } from './mailer.ts';

/* Against a real SMTP server in this process. */

interface Taken { readonly from: string; readonly to: readonly string[]; readonly text: string; readonly user: string | undefined; readonly secure: boolean }

const mail: Mail = { to: 'ada@example.com', subject: 'Hello ✓', text: 'plain', html: '<p>rich</p>' };
let server: SMTPServer | undefined;
afterEach(async () => { await new Promise<void>((resolve) => { if (server === undefined) resolve(); else server.close(() => { resolve(); }); }); });

async function listening(options: SMTPServerOptions): Promise<{ readonly port: number; readonly taken: readonly Taken[] }> {
  const taken: Taken[] = [];
  const own = new SMTPServer({
    logger: false, authOptional: true, ...options,
    onAuth: ({ username = '', password }, _, callback) => { callback(password === 'right' ? null : new Error('wrong password'), { user: username }); },
    onData: (stream, { envelope, user, secure }, callback) => {
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => { parts.push(part); });
      stream.on('end', () => {
        const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address;
        taken.push({ from, to: envelope.rcptTo.map(({ address }) => address), text: Buffer.concat(parts).toString(), user, secure });
        callback();
      });
    },
  });
  // A client that goes away in the middle of a handshake is no fault of the server.
  own.on('error', () => undefined);
  server = own;
  const listener = own.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return { port: portOf(listener.address()), taken };
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function sent(url: string, over: Partial<Mail> = {}): Promise<void> {
  const mailer = smtpMailer(url, 'RamBo <rambo@example.com>');
  try {
    await mailer.send({ ...mail, ...over });
  } finally {
    mailer.close();
  }
}

test('a mail arrives whole: both texts, the subject, one sender, one receiver', async () => {
  const { port, taken } = await listening({ disabledCommands: ['STARTTLS'] });
  await sent(`smtp://127.0.0.1:${port}`);
  expect(taken).toHaveLength(1);
  expect(taken[0]).toMatchObject({ from: 'rambo@example.com', to: ['ada@example.com'], user: undefined });
  expect(taken[0]?.text).toMatch(/Subject: =\?UTF-8\?Q\?Hello_=E2=9C=93\?=[\s\S]*plain[\s\S]*<p>rich<\/p>/);
});

test.each(['a@example.com,b@example.com', 'a@example.com\r\nBcc: b@example.com', 'a@example.com>\r\nRCPT TO:<b@example.com'])('an address that wants to be two stays one, or is refused: %j', async (to) => {
  const { port, taken } = await listening({ disabledCommands: ['STARTTLS'] });
  await sent(`smtp://127.0.0.1:${port}`, { to }).catch(() => undefined);
  expect(taken.flatMap((one) => one.to)).not.toContain('b@example.com');
  expect(taken.every((one) => !/^Bcc:/m.test(one.text))).toBe(true);
});

test('no password goes to a server without TLS', async () => {
  const { port, taken } = await listening({ disabledCommands: ['STARTTLS'], allowInsecureAuth: true });
  await expect(sent(`smtp://rambo:right@127.0.0.1:${port}`)).rejects.toThrow(/STARTTLS/);
  expect(taken).toEqual([]);
});

test('nor to one whose certificate nobody vouches for', async () => {
  const { port, taken } = await listening({});
  await expect(sent(`smtp://rambo:right@127.0.0.1:${port}`)).rejects.toThrow(/self-signed|certificate/i);
  expect(taken).toEqual([]);
});

test('a server that refuses a receiver is told as a failure', async () => {
  const { port } = await listening({ disabledCommands: ['STARTTLS'], onRcptTo: (_, __, callback) => { callback(Object.assign(new Error('nobody of that name'), { responseCode: 550 })); } });
  await expect(sent(`smtp://127.0.0.1:${port}`)).rejects.toThrow(/nobody of that name/);
});

test('a port where nobody speaks SMTP is told as a failure', async () => {
  const dumb = createServer((socket) => { socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'); }).listen(0, '127.0.0.1');
  await once(dumb, 'listening');
  await expect(sent(`smtp://127.0.0.1:${portOf(dumb.address())}`)).rejects.toThrow();
  await new Promise((resolve) => { dumb.close(resolve); });
});
