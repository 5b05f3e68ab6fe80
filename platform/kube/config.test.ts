import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { stringify } from 'yaml';
import { loadKubeConfig } from './config.ts';

let dir: string;
beforeEach(() => { dir = mkdtempSync(path.join(tmpdir(), 'rambo-kubeconfig-')); });
afterEach(() => { rmSync(dir, { recursive: true }); });

function written(content: string | object, name = 'config'): string {
  const file = path.join(dir, name);
  writeFileSync(file, typeof content === 'string' ? content : stringify(content));
  return file;
}

/** A kubeconfig with one user and one cluster. */
function config(user: object, cluster: object = {}, more: object = {}): object {
  return {
    apiVersion: 'v1', kind: 'Config', 'current-context': 'here', contexts: [{ name: 'here', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server: 'https://api:6443', ...cluster } }], users: [{ name: 'u', user }], ...more,
  };
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

test('a token, and authorities written into the file', () => {
  const loaded = loadKubeConfig(written(config({ token: 't-1' }, { server: 'https://api:6443/', 'certificate-authority-data': base64('the ca') })));
  expect([loaded.server, loaded.token(), loaded.ca?.toString(), loaded.cert, loaded.key]).toEqual(['https://api:6443', 't-1', 'the ca', undefined, undefined]);
});

test('a certificate', () => {
  const loaded = loadKubeConfig(written(config({ 'client-certificate-data': base64('cert'), 'client-key-data': base64('key') })));
  expect([loaded.cert?.toString(), loaded.key?.toString(), loaded.token()]).toEqual(['cert', 'key', undefined]);
});

test('files named without a leading slash lie beside the kubeconfig, wherever the program was started', () => {
  mkdirSync(path.join(dir, 'pki'));
  for (const name of ['ca', 'cert', 'key']) writeFileSync(path.join(dir, 'pki', name), `the ${name}`);
  const loaded = loadKubeConfig(written(config({ 'client-certificate': 'pki/cert', 'client-key': './pki/key' }, { 'certificate-authority': path.join(dir, 'pki/ca') })));
  expect([loaded.ca, loaded.cert, loaded.key].map(String)).toEqual(['the ca', 'the cert', 'the key']);
});

test('a token in a file is read at each request: it rotates', () => {
  writeFileSync(path.join(dir, 'token'), 'one\n');
  const loaded = loadKubeConfig(written(config({ tokenFile: 'token' })));
  expect(loaded.token()).toBe('one');
  writeFileSync(path.join(dir, 'token'), 'two\n');
  expect(loaded.token()).toBe('two');
});

test('of several contexts the current one counts', () => {
  const loaded = loadKubeConfig(written(config({}, {}, {
    'current-context': 'two', contexts: [{ name: 'one', context: { cluster: 'c', user: 'u' } }, { name: 'two', context: { cluster: 'd', user: 'v' } }],
    clusters: [{ name: 'c', cluster: { server: 'https://c' } }, { name: 'd', cluster: { server: 'https://d' } }], users: [{ name: 'u', user: { token: 'u' } }, { name: 'v', user: { token: 'v' } }],
  })));
  expect([loaded.server, loaded.token()]).toEqual(['https://d', 'v']);
});

test.each<[string, string | object, string]>([
  ['a context that is not there', config({}, {}, { 'current-context': 'gone' }), 'context gone names no known cluster and user'],
  ['a context of an unknown user', config({}, {}, { users: [] }), 'context here names no known cluster and user'],
  ['no context at all', config({}, {}, { 'current-context': undefined }), 'current-context: Invalid input: expected string, received undefined'],
  ['another kind of file', 'hello', ': Invalid input: expected object, received string'],
  ['nothing', '', ': Invalid input: expected object, received null'],
  ['a file that is no YAML', 'a: [', 'Flow sequence in block collection must be sufficiently indented'],
  ['a token from another program', config({ exec: { command: 'aws', args: ['eks', 'get-token'] } }), 'user u gets its token from another program, which RamBo does not run: name a user with a token or a certificate'],
  ['a token from a provider', config({ 'auth-provider': { name: 'gcp' } }), 'user u gets its token from another program'],
  ['a certificate that is not there', config({ 'client-certificate': 'nope.pem' }), 'ENOENT: no such file or directory'],
])('%s is an error that names the file and what is wrong', (_, content, message) => {
  const file = written(content);
  expect(() => loadKubeConfig(file)).toThrow(expect.objectContaining({ code: 'KubeConfig', message: expect.stringContaining(message) }));
  expect(() => loadKubeConfig(file)).toThrow(file);
});

test('a file that is not there, and none at all outside a pod', () => {
  expect(() => loadKubeConfig(path.join(dir, 'nope'))).toThrow(expect.objectContaining({ code: 'KubeConfig' }));
  expect(() => loadKubeConfig(undefined)).toThrow('no kubeconfig was given (RAMBO_KUBECONFIG) and this is no pod with a service account');
});
