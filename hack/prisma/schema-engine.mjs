#!/usr/bin/env node
/**
 * Stands in for Prisma's native schema engine, which its CLI would download: the same JSON-RPC over stdio, answered by
 * the WASM build of the engine over @prisma/adapter-pg. Found by PRISMA_SCHEMA_ENGINE_BINARY (prisma.config.ts).
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from '@prisma/driver-adapter-utils';
import * as bindings from '@prisma/schema-engine-wasm/schema_engine_bg';
import pg from 'pg';
// Never `connectionString`: given one, adapter-pg would run shadow migrations on the main database.
import { parseIntoClientConfig } from 'pg-connection-string';

/** Only the URL parameters that are Prisma's own; pg would refuse them. */
const PRISMA_PARAMETERS = ['schema', 'connection_limit', 'pool_timeout', 'pgbouncer'];
/** Keeps the text of a panic inside the WASM module, for the error that follows. */
const panics = { message: '', set_message(text) { this.message = text; } };

main();

function main() {
  const args = parseArguments(process.argv.slice(2));
  if (args.version) {
    loadEngine();
    process.stdout.write(`schema-engine-cli wasm ${bindings.version()}\n`);
  } else if (args.command !== undefined) {
    runCommand(args.command, args.datasource.url);
  } else {
    loadEngine();
    serve(args);
  }
}

function parseArguments(argv) {
  const args = { datamodels: [], datasource: {}, command: undefined, version: false };
  for (let i = 0; i < argv.length; i++) {
    if (argv[i] === '--version') args.version = true;
    else if (argv[i] === '--datamodels') args.datamodels.push(readDatamodel(argv[++i]));
    else if (argv[i] === '--datasource') args.datasource = JSON.parse(argv[++i]);
    else if (argv[i] === 'cli') args.command = argv[++i];
    else if (argv[i].startsWith('--')) i++;
  }
  return args;
}

function readDatamodel(file) {
  return [file, readFileSync(file, 'utf8')];
}

function loadEngine() {
  globalThis.PRISMA_WASM_PANIC_REGISTRY = panics;
  const folder = path.dirname(createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm'));
  const module = new WebAssembly.Module(readFileSync(path.join(folder, 'schema_engine_bg.wasm')));
  const instance = new WebAssembly.Instance(module, { './schema_engine_bg.js': bindings });
  bindings.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
}

/** The two things the CLI asks of the engine's command line rather than over JSON-RPC. */
async function runCommand(command, url) {
  try {
    if (command === 'can-connect-to-database') await withClient(url, async () => undefined);
    else if (command === 'create-database') await createDatabase(url);
    process.exit(0);
  } catch (error) {
    const code = error.code === '3D000' ? 'P1003' : error.code === '28P01' ? 'P1000' : 'P1001';
    const line = { level: 'ERROR', target: 'schema_engine::logger', fields: { error_code: code, message: error.message || error.code } };
    process.stderr.write(`header\n${JSON.stringify(line)}\n`);
    process.exit(1);
  }
}

async function createDatabase(url) {
  await withClient(onDatabase(url, 'postgres'), async (client) => {
    await client.query(`CREATE DATABASE ${quote(databaseOf(url))}`).catch((error) => {
      if (error.code !== '42P04') throw error;
    });
  });
}

async function withClient(url, use) {
  const client = new pg.Client(parseIntoClientConfig(splitUrl(url).connectionString));
  await client.connect();
  try {
    await use(client);
  } finally {
    await client.end();
  }
}

function splitUrl(url) {
  const parsed = new URL(url);
  const schema = parsed.searchParams.get('schema') ?? undefined;
  for (const name of PRISMA_PARAMETERS) parsed.searchParams.delete(name);
  return { connectionString: parsed.toString(), schema };
}

function databaseOf(url) {
  return decodeURIComponent(new URL(url).pathname.slice(1));
}

function onDatabase(url, name) {
  const parsed = new URL(url);
  parsed.pathname = `/${encodeURIComponent(name)}`;
  return parsed.toString();
}

function quote(identifier) {
  return `"${identifier.replaceAll('"', '""')}"`;
}

/**
 * The catalog's internal "char" type (oid 18): the engine panics unless it gets a Character, and adapter-pg knows none.
 * So the client calls it an array of characters (1002), which no catalog query returns, and the adapter's answer is put right.
 */
const CATALOG_CHAR = 18;
const CHAR_ARRAY = 1002;

function charAsArray(result) {
  for (const one of Array.isArray(result) ? result : [result]) {
    for (const field of one?.fields ?? []) if (field.dataTypeID === CATALOG_CHAR) field.dataTypeID = CHAR_ARRAY;
  }
  return result;
}

class CatalogClient extends pg.Client {
  query(...args) {
    const at = args.findLastIndex((arg) => typeof arg === 'function');
    if (at >= 0) {
      const callback = args[at];
      args[at] = (error, result) => callback(error, charAsArray(result));
    }
    const out = super.query(...args);
    return typeof out?.then === 'function' ? out.then(charAsArray) : out;
  }
}

/** The same adapter, or transaction of one, answering with Characters. */
function withCharacters(queryable) {
  const queryRaw = queryable.queryRaw.bind(queryable);
  queryable.queryRaw = async (query) => {
    const result = await queryRaw(query);
    const columnTypes = result.columnTypes.map((type) => type === ColumnTypeEnum.CharacterArray ? ColumnTypeEnum.Character : type);
    return { ...result, columnTypes };
  };
  if (queryable.startTransaction === undefined) return queryable;
  const startTransaction = queryable.startTransaction.bind(queryable);
  queryable.startTransaction = async (...args) => withCharacters(await startTransaction(...args));
  return queryable;
}

function adapterFactory(url) {
  const { connectionString, schema } = splitUrl(url);
  const config = { ...parseIntoClientConfig(connectionString), Client: CatalogClient };
  const factory = new PrismaPg(config, schema === undefined ? undefined : { schema });
  const connect = factory.connect.bind(factory);
  factory.connect = async () => withCharacters(await connect());
  return factory;
}

function migrationFactory(datasource) {
  if (!datasource.url) return bindMigrationAwareSqlAdapterFactory(offlineFactory());
  const factory = adapterFactory(datasource.url);
  factory.connectToShadowDb = () => datasource.shadowDatabaseUrl ? givenShadow(datasource.shadowDatabaseUrl) : ownShadow(datasource.url);
  return bindMigrationAwareSqlAdapterFactory(factory);
}

/** Stands where a command needs no database (a diff of two files): answers which server it is, and refuses the rest. */
function offlineFactory() {
  const refuse = async () => { throw new Error('this command needs a database: set DATABASE_URL'); };
  const version = {
    columnNames: ['exists', 'version', 'numeric_version'],
    columnTypes: [ColumnTypeEnum.Boolean, ColumnTypeEnum.Text, ColumnTypeEnum.Int32],
    rows: [[true, 'PostgreSQL 18.4', 180_004]],
  };
  const adapter = {
    provider: 'postgres', adapterName: 'offline',
    getConnectionInfo: () => ({ schemaName: 'public', supportsRelationJoins: true }),
    queryRaw: async (query) => query.sql.includes('server_version_num') ? version : refuse(),
    executeRaw: refuse, executeScript: refuse, startTransaction: refuse,
    dispose: async () => undefined,
  };
  const connect = async () => adapter;
  return { provider: 'postgres', adapterName: 'offline', connect, connectToShadowDb: connect };
}

async function givenShadow(url) {
  const adapter = await adapterFactory(url).connect();
  const schema = quote(splitUrl(url).schema ?? 'public');
  await adapter.executeScript(`DROP SCHEMA IF EXISTS ${schema} CASCADE; CREATE SCHEMA ${schema}`);
  return adapter;
}

/** A shadow database of our own. adapter-pg would drop it while its pool still holds it open: here the pool goes first. */
async function ownShadow(url) {
  const name = `prisma_migrate_shadow_db_${crypto.randomUUID()}`;
  const admin = new pg.Client(parseIntoClientConfig(splitUrl(url).connectionString));
  await admin.connect();
  await admin.query(`CREATE DATABASE ${quote(name)}`);
  const adapter = await adapterFactory(onDatabase(url, name)).connect();
  const dispose = adapter.dispose.bind(adapter);
  adapter.dispose = async () => {
    await dispose();
    await admin.query(`DROP DATABASE IF EXISTS ${quote(name)} WITH (FORCE)`);
    await admin.end();
  };
  return adapter;
}

/** The request being answered: what a panic, which may come from nowhere near its promise, has to be blamed on. */
let current;

/** Without this a panic would end us in silence, and the CLI would call that success. */
function reportPanic(error) {
  const text = `${JSON.stringify({ jsonrpc: '2.0', id: current, error: rpcError(error) })}\n`;
  if (current !== undefined) process.stdout.write(text, () => process.exit(101));
  else process.exit(101);
}

/** One request after the other, in the order they came. */
function serve(args) {
  process.on('uncaughtException', reportPanic);
  process.on('unhandledRejection', reportPanic);
  const debug = (line) => { if (process.env.DEBUG) process.stderr.write(`${line}\n`); };
  let engine;
  const start = () => bindings.SchemaEngine.new({ datamodels: args.datamodels.length > 0 ? args.datamodels : undefined }, debug, migrationFactory(args.datasource));
  let chain = Promise.resolve();
  createInterface({ input: process.stdin, crlfDelay: Infinity }).on('line', (line) => {
    if (!line.trim()) return;
    const request = JSON.parse(line);
    if (!request.method) return; // an answer to our `print`
    chain = chain.then(async () => {
      current = request.id;
      try {
        engine ??= await start();
        send({ jsonrpc: '2.0', id: request.id, result: await call(engine, request) });
      } catch (error) {
        send({ jsonrpc: '2.0', id: request.id, error: rpcError(error) });
      }
    });
  }).on('close', async () => {
    await chain;
    process.exit(0);
  });
}

let prints = 1_000_000;

async function call(engine, request) {
  const method = request.method === 'getDatabaseVersion' ? 'version' : request.method;
  if (typeof engine[method] !== 'function') throw new Error(`method ${method} is not supported by the WASM schema engine`);
  const result = await engine[method](request.params);
  if (request.method !== 'diff' || result?.stdout == null) return result ?? {};
  send({ jsonrpc: '2.0', id: `p${prints++}`, method: 'print', params: { content: result.stdout } });
  return { exitCode: result.exitCode, stdout: null };
}

function rpcError(error) {
  const text = error.message ?? String(error);
  const message = panics.message === '' ? text : `${text}: ${panics.message}`;
  return {
    code: 4466,
    message: 'An error happened. Check the data field for details.',
    data: { is_panic: panics.message !== '', message, error_code: error.code, meta: error.meta },
  };
}

function send(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
