/** What a terminal would obey, and what turns texts around or hides in them. Line breaks and tabs are texts. */
const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** A text of somebody else (a model, a tool), as a terminal may show it: what it would obey is written out. */
export function plain(text: string): string {
  return text.replaceAll(OBEYED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** JSON of somebody else, for people. */
export function plainJson(value: unknown): string {
  return plain(JSON.stringify(value, null, 2));
}
