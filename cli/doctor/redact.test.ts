import fc from 'fast-check';
import { REDACTED, redactor, secretsOfUrl } from './redact.ts';

const CANARY = 'canary-7f3a9c1e';
const redact = redactor([]);

test.each<[string, string]>([
  ['a URL', `postgresql://me:${CANARY}@db.example:5432/rambo?sslmode=require`],
  ['a URL in JSON', `{"url":"nats://user:${CANARY}@nats:4222"}`],
  ['a header', `authorization: Bearer ${CANARY}`],
  ['a header in words', `sent Basic ${CANARY}== to it`],
  ['JSON', `{"password":"${CANARY}","x":1}`],
  ['JSON with another name', `{"dbPassword": "${CANARY}", "clientSecretValue": "${CANARY}"}`],
  ['JSON in a string of JSON', JSON.stringify({ msg: JSON.stringify({ apiKey: CANARY }) })],
  ['YAML', `token: ${CANARY}\nx: 1`],
  ['an environment', `export AWS_SECRET_ACCESS_KEY=${CANARY}`],
  ['a query', `GET /x?access_token=${CANARY}&y=1`],
  ['a quoted value with a quote inside', `password='${CANARY} and more'`],
  ['JSON with an escaped quote', `{"secret":"a\\"${CANARY}"}`],
  ['a PEM block', `-----BEGIN PRIVATE KEY-----\n${CANARY}\n-----END PRIVATE KEY-----`],
  ['a PEM block that was cut', `-----BEGIN USER NKEY SEED-----\n${CANARY}`],
])('%s keeps no secret', (_, text) => {
  const out = redact(text);
  expect(out).not.toContain(CANARY);
  expect(out).toContain(REDACTED);
});

test.each<[string, string]>([
  ['a token', 'eyJhbGciOiJSUzI1NiIsImtpZCI6IiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl'],
  ['a seed of NATS', 'SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4'],
  ['a key of AWS', 'AKIAIOSFODNN7EXAMPLE'],
  ['a key of a model provider', 'sk-proj-abcdefghijklmnop1234'],
])('%s is known by its shape', (_, secret) => {
  expect(redact(`it said ${secret} to me`)).toBe(`it said ${REDACTED} to me`);
});

test('what is known to be secret goes wherever it stands, the longer one first', () => {
  expect(redactor(['hunter2', 'hunter2hunter2'])('a hunter2hunter2 b hunter2 c')).toBe(`a ${REDACTED} b ${REDACTED} c`);
  expect(redactor(['', 'abc'])('abc')).toBe('abc');
  expect(redactor(['postgres', 'a.b*c$d'])('postgresql://u:postgres@h/postgres a.b*c$d')).toBe(`postgresql://${REDACTED}@h/${REDACTED} ${REDACTED}`);
});

test.each(['rambo_api_reviews_total{kind="token",result="ok"} 4', '{"automountServiceAccountToken":false,"tokens":12}', 'NodeSucceeded 3/10 in 12 ms', 'http://127.0.0.1:8080/metrics'])('%s stays', (text) => {
  expect(redact(text)).toBe(text);
});

test('property: a password in a URL never stays, whatever it is made of', () => {
  fc.assert(fc.property(fc.string({ minLength: 4, maxLength: 20 }).filter((p) => p.trim() !== '' && !'postgresql://u:@h/d[redacted]'.includes(encodeURIComponent(p))), (password) => {
    const url = `postgresql://u:${encodeURIComponent(password)}@h/d`;
    expect(redactor(secretsOfUrl(url))(`connect ${url} failed`)).not.toContain(encodeURIComponent(password));
  }));
});
