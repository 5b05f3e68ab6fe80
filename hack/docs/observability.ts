import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { ROOT } from '../verify/files.ts';

/* Dashboards, alerts and runbooks as data, for the tests that hold them together. */

/** Where the rules are, and their tests. */
export const ALERTS_FILE = path.join(ROOT, 'charts/rambo/files/alerts.yaml');
export const ALERT_TESTS_FILE = path.join(ROOT, 'test/observability/alerts.test.yaml');
const DASHBOARDS = path.join(ROOT, 'charts/rambo/files/dashboards');
const RUNBOOKS = path.join(ROOT, 'docs/runbooks');

const ruleSchema = z.strictObject({
  alert: z.string(), expr: z.string(), for: z.string().optional(), labels: z.strictObject({ severity: z.enum(['critical', 'warning']) }),
  annotations: z.strictObject({ summary: z.string(), description: z.string(), runbook_url: z.string() }),
});
/** An alert. */
export type Alert = z.output<typeof ruleSchema>;

/** All alerts of the chart. Throws where the file has another shape. */
export function alerts(): readonly Alert[] {
  const file = z.strictObject({ groups: z.array(z.strictObject({ name: z.string(), rules: z.array(ruleSchema) })) });
  return file.parse(parse(readFileSync(ALERTS_FILE, 'utf8'))).groups.flatMap(({ rules }) => rules);
}

const checkSchema = z.object({ expr: z.string(), eval_time: z.string(), exp_samples: z.array(z.object({ labels: z.string(), value: z.number() })) });

/** What the tests of alerts expect, by name of the test. */
export function alertTests(): ReadonlyMap<string, readonly z.output<typeof checkSchema>[]> {
  const file = z.object({ tests: z.array(z.object({ name: z.string(), promql_expr_test: z.array(checkSchema) })) }).parse(parse(readFileSync(ALERT_TESTS_FILE, 'utf8')));
  return new Map(file.tests.map(({ name, promql_expr_test: checks }) => [name, checks]));
}

const targetSchema = z.looseObject({ refId: z.string(), expr: z.string().min(1) });
const panelSchema = z.looseObject({ id: z.number(), type: z.string(), title: z.string().min(1), gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }), targets: z.array(targetSchema).optional() });
const dashboardSchema = z.object({
  uid: z.string(), title: z.string(), panels: z.array(panelSchema),
  templating: z.object({ list: z.array(z.object({ name: z.string(), type: z.string(), query: z.union([z.string(), z.object({ query: z.string() })]) })) }),
});
/** A dashboard, as far as we look at it. */
export type Dashboard = z.output<typeof dashboardSchema>;

/** Dashboards of the chart by name of the file. Throws where one has another shape. */
export function dashboards(): ReadonlyMap<string, Dashboard> {
  return new Map(readdirSync(DASHBOARDS).map((file) => [file, dashboardSchema.parse(JSON.parse(readFileSync(path.join(DASHBOARDS, file), 'utf8')))]));
}

/** Expressions of a dashboard as Prometheus gets them, the variables filled in as Grafana does for "All". */
export function dashboardQueries({ panels }: Dashboard): readonly string[] {
  return panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$(namespace|pool)\b/g, '.*')));
}

/** Texts of the runbooks by name of the alert; the index is `README`. */
export function runbooks(): ReadonlyMap<string, string> {
  return new Map(readdirSync(RUNBOOKS).map((file) => [file.replace(/\.md$/, ''), readFileSync(path.join(RUNBOOKS, file), 'utf8')]));
}

/** Code in a page: what stands between backticks. */
export function codeIn(markdown: string): readonly string[] {
  return [...markdown.matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? '');
}

/** Whether code in a runbook is a query for Prometheus. */
export function isPromql(code: string): boolean {
  return /\brambo_[a-z]/.test(code) && !code.startsWith('kubectl');
}

/** Names of metrics that a text mentions. */
export function metricsIn(text: string): readonly string[] {
  return [...new Set([...text.matchAll(/\brambo_[a-z0-9_]+/g)].map(([name]) => name))];
}
