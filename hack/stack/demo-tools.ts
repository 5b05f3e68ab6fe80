/* What the parts of the demo share: lines for people, REST, waiting. */

/** Prints a line below the step it belongs to. */
export function print(line: string): void {
  process.stdout.write(`  ${line}\n`);
}

/** One request over REST. */
export type Call = <T = unknown>(method: string, route: string, body?: object) => Promise<T>;

/** REST of an API with a token. What it gives throws the code and the detail of a refusal. */
export function restOf(apiUrl: string, token: string): Call {
  return async (method, route, body) => {
    const response = await fetch(`${apiUrl}/api/v1${route}`, {
      method, headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = JSON.parse(await response.text());
    if (!response.ok) throw new Error(`${answer.code}: ${answer.detail}`);
    return answer;
  };
}

/** Asks again until what is read holds. Throws, with what was read last, when it does not within so many seconds. */
export async function until<T>(read: () => Promise<T>, holds: (value: T) => boolean, seconds = 30): Promise<T> {
  for (let tries = 0; ; tries++) {
    const value = await read();
    if (holds(value)) return value;
    if (tries === 10 * seconds) throw new Error(`it did not come to that within ${seconds} s: ${JSON.stringify(value).slice(0, 500)}`);
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
}
