import { BASE_FIELDS, FIELDS } from '../../platform/log/fields.ts';
import { logLines } from './log-lines.ts';
import { fieldProblems } from './logs.ts';

test('every field that a line of the code has is named, and nothing is named that no line has', () => {
  expect(logLines().length).toBeGreaterThan(40);
  expect(fieldProblems()).toEqual([]);
});

test('a field that no table names is told with its place; a name that nothing logs too', () => {
  const problems = fieldProblems([{ file: 'a.ts', line: 3, level: 'info', message: 'x', fields: ['run', 'invented'] }]);
  expect(problems).toContain('a.ts:3 logs invented: name it in platform/log/fields.ts');
  expect(problems).toContain('platform/log/fields.ts names subject, which nothing logs');
});

test('messages are constant sentences; fields of a line do not hide those every line has', () => {
  for (const { message, fields } of logLines()) {
    expect(message).toMatch(/^[^\n]{3,100}$/);
    expect(fields.filter((name) => Object.hasOwn(BASE_FIELDS, name))).toEqual([]);
  }
  expect(Object.keys(FIELDS).filter((name) => Object.hasOwn(BASE_FIELDS, name))).toEqual([]);
});
