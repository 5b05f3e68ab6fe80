import { startScriptedModel, type ScriptedModel } from '../../../hack/scripted-model/server.ts';
import type { ScriptInput } from '../../../hack/scripted-model/script.ts';
import { startToolServers, type ToolServers } from '../../../hack/tool-servers/tool-servers.ts';
import { agentRunId, type AgentEventKind } from '../../../crds/agent-run.ts';
import type { StackOptions } from '../../../hack/stack/stack.ts';
import { TestStack, type RunObject } from '../../harness/test-stack.ts';

/** A condition of an object. */
interface Condition { readonly type: string; readonly status: string; readonly reason: string; readonly message: string }

/** A whole stack with a model gateway, a scripted model and tool servers in this process. */
export class AgentStack {
  readonly t: TestStack;
  readonly model: ScriptedModel;
  readonly tools: ToolServers;

  private constructor(t: TestStack, model: ScriptedModel, tools: ToolServers) {
    this.t = t;
    this.model = model;
    this.tools = tools;
  }

  /** Starts it, with a warm pool and the ToolServer `tools` ready. */
  static async start(options: Partial<Omit<StackOptions, 'dir' | 'persistent' | 'log'>> = {}, pool?: object): Promise<AgentStack> {
    const [model, tools] = await Promise.all([startScriptedModel(), startToolServers()]);
    const t = await TestStack.start({ modelgateway: true, ...options });
    const site = new AgentStack(t, model, tools);
    try {
      await t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'ToolServer', metadata: { name: 'tools', namespace: 'default' }, spec: {
        mcp: { url: tools.mcp }, trustHints: true,
        tools: [{ name: 'count', effect: 'KeyedIdempotent', idempotency: { meta: 'idempotencyKey' } }, { name: 'charge', effect: 'AtMostOnce' }],
      } });
      await Promise.all([t.pool(pool), site.ready('toolserver', 'tools')]);
      return site;
    } catch (error) {
      await site.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.t.stop();
    await Promise.all([this.model.stop(), this.tools.stop()]);
  }

  /** Waits until an object says that it is ready; what it says instead is in the error. */
  async ready(kind: 'agent' | 'model' | 'toolserver', name: string): Promise<void> {
    let conditions: readonly Condition[] = [];
    await this.t.until(`${kind}/${name} to be ready`, async () => {
      const object = JSON.parse(await this.t.stack.kubectl.run('get', kind, name, '-o', 'json')) as { readonly status?: { readonly conditions?: readonly Condition[] } };
      conditions = object.status?.conditions ?? [];
      return conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
    }).catch((error: unknown) => { throw new Error(`${error instanceof Error ? error.message : String(error)}: ${JSON.stringify(conditions)}`); });
  }

  /** A Model that answers from this script. */
  async script(name: string, script: ScriptInput): Promise<void> {
    this.model.register(name, script);
    await this.t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'Model', metadata: { name, namespace: 'default' }, spec: { provider: 'openai-compatible', baseUrl: this.model.url, model: `scripted/${name}` } });
    await this.ready('model', name);
  }

  /** An Agent, ready. */
  async agent(name: string, spec: object): Promise<void> {
    await this.t.apply({ apiVersion: 'rambo.dev/v1alpha1', kind: 'Agent', metadata: { name, namespace: 'default' }, spec });
    await this.ready('agent', name);
  }

  /** Starts a workflow of one agent node, `ask`, whose output is the run's. */
  run(agent: string, input: unknown = 'hello', node: object = {}): Promise<RunObject> {
    return this.t.startInline([{ name: 'ask', type: 'agent', with: { agentRef: { name: agent }, input }, ...node }], { workflow: { outputs: { answer: '${{ nodes.ask.output }}' } } });
  }

  /** Kinds of the journal of a run's node, in order. */
  async journal(run: RunObject, node = 'ask'): Promise<readonly AgentEventKind[]> {
    const rows = await this.t.sql<{ kind: AgentEventKind }>('select kind from agent_event where agent_run = $1::uuid order by seq', [agentRunId(await this.id(run), node, -1)]);
    return rows.map(({ kind }) => kind);
  }

  /** Id of a run by its object. */
  async id(run: RunObject): Promise<string> {
    return this.t.until('the row of the run', async () => (await this.t.sql<{ id: string }>('select id from run where uid = $1', [run.metadata.uid]))[0]?.id);
  }
}
