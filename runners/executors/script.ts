import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failure, type Executor } from '../core/types.ts';
import { runProgram, textField } from './process.ts';

/** Runs a bash or Python source in a clean process. `bash` stops at the first failing command. */
const INTERPRETERS: Readonly<Record<string, { readonly file: string; readonly command: string; readonly args: readonly string[] }>> = {
  bash: { file: 'node.sh', command: 'bash', args: ['-euo', 'pipefail'] },
  python: { file: 'node.py', command: 'python3', args: ['-u'] },
};

/** Script nodes: JavaScript by prepared processes, the others by their interpreter. */
export function scriptExecutor(javascript: Executor): Executor {
  return async (execution) => {
    const language = textField(execution, 'language');
    if (language === 'javascript') return javascript(execution);
    const interpreter = Object.hasOwn(INTERPRETERS, language) ? INTERPRETERS[language] : undefined;
    if (interpreter === undefined) return failure('Invalid', 'UnsupportedLanguage', `with.language: ${language} is none of javascript, python, bash`);
    const file = join(execution.dir, interpreter.file);
    await writeFile(file, textField(execution, 'source'), { mode: 0o600 });
    return runProgram(execution, { command: interpreter.command, args: [...interpreter.args, file] });
  };
}
