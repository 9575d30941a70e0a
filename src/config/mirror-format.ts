// The URL template of a region's mirror: reads it and says how to mend it.
import { isSafeUrl, MIRROR_PLACEHOLDERS } from '../domain/mirror.ts';
import { type Parsed, textual } from './spec.ts';
import { didYouMean } from './suggest.ts';

const EXAMPLE = 'https://mirror.eu.example/{product}/{version}/{asset}';
const PLACEHOLDER = /\{([^{}]*)\}/g;

export const MIRROR = textual<string>({
  expected: 'the https URL of a file on the mirror, with placeholders',
  example: `"${EXAMPLE}"`,
  blank: '',
  schema: { pattern: '^https?://[!-~]{1,500}$' },
  // A URL can hold a password.
  secret: true,
  parse(text) {
    const sample = text.replace(PLACEHOLDER, 'x');
    if (!/^https?:\/\/[!-~]{1,500}$/.test(text) || !URL.canParse(sample)) {
      return { ok: false, mend: `write e.g. "${EXAMPLE}"` };
    }
    const url = new URL(sample);
    if (url.username !== '' || url.password !== '' || /[?#]/.test(text)) {
      return { ok: false, mend: 'leave out user, password, query and fragment: agents and operators see this address' };
    }
    return refusePlaceholders(text) ?? refuseHost(text, url) ?? { ok: true, value: text };
  },
});

function refusePlaceholders(text: string): Parsed<string> | undefined {
  const names = [...text.matchAll(PLACEHOLDER)].map((match) => match[1] as string);
  const known: readonly string[] = MIRROR_PLACEHOLDERS;
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    return {
      ok: false,
      what: `there is no placeholder {${unknown.slice(0, 32)}}`,
      mend: didYouMean(unknown, known),
    };
  }
  if (/[{}]/.test(text.replace(PLACEHOLDER, ''))) {
    return { ok: false, what: 'a brace stands alone', mend: 'write each placeholder as {name}' };
  }
  const holds = (name: string) => names.includes(name);
  if (!holds('asset') && !(holds('platform') && (holds('version') || holds('tag')))) {
    return {
      ok: false,
      what: 'the address is the same for several files',
      mend: 'add {asset}, or {version} and {platform}',
    };
  }
  return undefined;
}

function refuseHost(text: string, url: URL): Parsed<string> | undefined {
  const host = text.slice(text.indexOf('://') + 3).split('/')[0] as string;
  if (/[{}]/.test(host.replaceAll('{region}', ''))) {
    return { ok: false, what: 'a placeholder stands in the host', mend: 'only {region} may stand there' };
  }
  if (isSafeUrl(url)) return undefined;
  return {
    ok: false,
    what: `plain http to ${host.slice(0, 100)} can be read and changed on the way`,
    mend: 'use https; http is for this machine only',
  };
}
