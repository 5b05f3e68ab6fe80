import { around } from '../../../platform/failpoint/index.ts';
import { GatewayClient } from './client.ts';
import type { AskModel } from './model.ts';

/*
 * Failpoints of an agent's loop: runner.agent.{open,tool,finish,model,parked}.before|after. Only the bundles of test/chaos contain
 * this file.
 */

const broken = (point: string): Error => new Error(`failpoint ${point}`);

/** The gateway, with a point before and after each question. */
export class ChaosClient extends GatewayClient {
  override ask(verb: 'open' | 'tool' | 'finish', body: object): Promise<unknown> {
    return around(`runner.agent.${verb}`, () => super.ask(verb, body), broken);
  }

  override parked(): Promise<void> {
    return around('runner.agent.parked', () => super.parked(), broken);
  }
}

/** The model, with a point before and after each question. */
export function chaosModel(model: AskModel): AskModel {
  return (question) => around('runner.agent.model', () => model(question), broken);
}
