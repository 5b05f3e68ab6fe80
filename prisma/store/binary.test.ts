import { bools, byteas, int2s, int4s, int8s, texts, times, uuids } from './binary.ts';

const HEADER = (oid: string, length: string): string => `0000000100000001${oid}${length}00000001`;
const self = <T>(value: T): T => value;

/** Golden bytes: as Postgres's own array_send gives them. */
const CASES: readonly (readonly [string, Buffer, string])[] = [
  ['an empty array', int4s([], self<number>), HEADER('00000017', '00000000')],
  ['int4', int4s([1, -1, null], self), `${HEADER('00000017', '00000003')}0000000400000001` + '00000004ffffffff' + 'ffffffff'],
  ['int2', int2s([256, -2], self), `${HEADER('00000015', '00000002')}000000020100` + '00000002fffe'],
  ['int8', int8s([2n ** 62n], self), `${HEADER('00000014', '00000001')}000000084000000000000000`],
  ['bool', bools([true, false, null], self), `${HEADER('00000010', '00000003')}0000000101` + '0000000100' + 'ffffffff'],
  ['text in UTF-8', texts(['', 'ä', null], self), `${HEADER('00000019', '00000003')}00000000` + '00000002c3a4' + 'ffffffff'],
  ['bytea', byteas([new Uint8Array([0, 255]), null], self), `${HEADER('00000011', '00000002')}0000000200ff` + 'ffffffff'],
  ['uuid', uuids(['01234567-89ab-7def-8123-456789abcdef'], self), `${HEADER('00000b86', '00000001')}000000100123456789ab7def8123456789abcdef`],
  ['a time after 2000', times([946_684_800_001], self), `${HEADER('000004a0', '00000001')}0000000800000000000003e8`],
  ['a time before 2000', times([946_684_799_999], self), `${HEADER('000004a0', '00000001')}00000008fffffffffffffc18`],
  ['the time 0', times([0], self), `${HEADER('000004a0', '00000001')}00000008fffca2fec4c82000`],
];

test.each(CASES)('%s', (_, buffer, hex) => {
  expect(buffer.toString('hex')).toBe(hex);
});

const REFUSED: readonly (readonly [string, () => Buffer])[] = [
  ['2^31 as int4', () => int4s([2 ** 31], self)],
  ['2^15 as int2', () => int2s([2 ** 15], self)],
  ['a fraction', () => int4s([0.5], self)],
  ['NaN', () => int4s([Number.NaN], self)],
  ['an infinite time', () => times([Number.POSITIVE_INFINITY], self)],
  ['a short UUID', () => uuids(['0123'], self)],
  ['a UUID with a letter too many', () => uuids(['g1234567-89ab-7def-8123-456789abcdef'], self)],
];

test.each(REFUSED)('refuses %s', (_, encode) => {
  expect(encode).toThrow(expect.objectContaining({ code: 'RowRefused' }));
});
