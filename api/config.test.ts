import { ConfigError, readConfig } from '../platform/config/index.ts';
import { apiConfigSchema } from './config.ts';

const base = { RAMBO_DATABASE_URL: 'postgresql://x', RAMBO_NATS_URL: 'nats://x', RAMBO_NATS_CREDS_FILE: '/x' };

test('the emulator keeps an API from starting in production, which is what every API is that is told nothing else', () => {
  for (const more of [{}, { RAMBO_ENVIRONMENT: 'production' }, { RAMBO_FIREBASE_PROJECT: 'acme-prod' }]) {
    expect(() => readConfig(apiConfigSchema, { ...base, ...more, FIREBASE_AUTH_EMULATOR_HOST: '127.0.0.1:9099' })).toThrow(/FIREBASE_AUTH_EMULATOR_HOST .*must not be set in production/);
  }
  expect(readConfig(apiConfigSchema, { ...base, RAMBO_ENVIRONMENT: 'development', FIREBASE_AUTH_EMULATOR_HOST: '127.0.0.1:9099' }).FIREBASE_AUTH_EMULATOR_HOST).toBe('127.0.0.1:9099');
});

test('mails are not written into files in production', () => {
  expect(() => readConfig(apiConfigSchema, { ...base, RAMBO_MAIL_DIR: '/tmp' })).toThrow(ConfigError);
});

test.each([['RAMBO_ENVIRONMENT', 'test'], ['RAMBO_FIREBASE_PROJECT', 'a/b'], ['RAMBO_FIREBASE_PROJECT', ''], ['RAMBO_DEFAULT_ROLE', 'ROOT'], ['RAMBO_CONSOLE_URL', 'javascript:alert(1)'], ['RAMBO_FIREBASE_KEYS_URL', 'x']])('%s=%s is refused', (name, value) => {
  expect(() => readConfig(apiConfigSchema, { ...base, [name]: value })).toThrow(new RegExp(name));
});

test('without anything about people only Kubernetes accounts and access tokens come in', () => {
  expect(readConfig(apiConfigSchema, base)).toMatchObject({ RAMBO_ENVIRONMENT: 'production', RAMBO_DEFAULT_ROLE: 'VIEWER', RAMBO_ADMIN_EMAILS: [] });
  expect(readConfig(apiConfigSchema, base).RAMBO_FIREBASE_PROJECT).toBeUndefined();
});
