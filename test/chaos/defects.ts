export async function findDefects(say: (line: string) => void): Promise<number> {
  say('not yet');
  return Promise.resolve(1);
}
