// What a config asks of hosts: what can be compared, and nothing that no host could have.
import { exclude, hasUnknownUnit, isComparable, type Requirement, wantedOf } from '../domain/requirement.ts';
import { schemeOf } from '../domain/version/schemes.ts';
import { haveCommon } from './ranges.ts';
import type { Path, Report } from './report.ts';
import type { RawProduct, RawRequirement } from './shape.ts';

/** Notes what is wrong with the product's requirements; `path` is that of the product. */
export function checkRequirements(product: RawProduct, path: Path, report: Report): void {
  for (const [index, raw] of product.requirements.entries()) {
    const at = [...path, 'requirements', index];
    if (!report.touches(at)) checkRule(raw, at, report);
    checkVersions(product, raw, path, index, report);
  }
  refuseImpossible(product, path, report);
}

/** In normal form. Undefined where it does not say exactly one thing. */
export function normalRequirement(raw: RawRequirement): Requirement | undefined {
  const rules = rulesOf(raw);
  const [first] = rules;
  if (first === undefined || rules.length > 1) return undefined;
  return { versions: raw.versions, fact: raw.fact, ...first, reason: raw.reason };
}

function rulesOf({ atLeast, atMost, equals, oneOf }: RawRequirement): Pick<Requirement, 'rule' | 'wanted'>[] {
  return [
    ...(atLeast === null ? [] : [{ rule: 'atLeast' as const, wanted: [atLeast] }]),
    ...(atMost === null ? [] : [{ rule: 'atMost' as const, wanted: [atMost] }]),
    ...(equals === null ? [] : [{ rule: 'equals' as const, wanted: [equals] }]),
    ...(oneOf === null ? [] : [{ rule: 'oneOf' as const, wanted: oneOf }]),
  ];
}

function checkRule(raw: RawRequirement, path: Path, report: Report): void {
  const found = rulesOf(raw);
  if (found.length !== 1) {
    const which = found.length === 0 ? 'does not say what is wanted' : 'says twice what is wanted';
    report.add(path, `the requirement ${which}`, 'give exactly one of atLeast, atMost, equals, oneOf');
    return;
  }
  for (const key of ['atLeast', 'atMost'] as const) {
    const value = raw[key];
    if (value !== null && hasUnknownUnit(value)) {
      const what = `${JSON.stringify(value)} has a unit that is not known`;
      report.add([...path, key], what, 'write a size as "2 GiB" or "500 MB", a number without a unit');
      continue;
    }
    if (value === null || isComparable(value)) continue;
    const what = `${JSON.stringify(value)} is no number, version or size that could be compared`;
    report.add([...path, key], what, 'write e.g. "5.10" or "2 GiB", or use equals');
  }
}

function checkVersions(product: RawProduct, raw: RawRequirement, path: Path, index: number, report: Report): void {
  const at = [...path, 'requirements', index, 'versions'];
  if (raw.versions === null || report.touches(at) || report.touches([...path, 'scheme'])) return;
  if (schemeOf(product.scheme).range(raw.versions) !== undefined) return;
  const what = `"${raw.versions}" is not a range of the scheme ${product.scheme}, or no version can be in it`;
  report.add(at, what, 'write e.g. ">=2"');
}

/** Two that no value meets together would strand every agent wherever they are for the same releases. */
function refuseImpossible(product: RawProduct, path: Path, report: Report): void {
  const all = product.requirements.map(normalRequirement);
  for (const [index, one] of all.entries()) {
    const at = [...path, 'requirements', index];
    if (one === undefined || report.touches(at)) continue;
    const earlier = all.slice(0, index).findIndex((other, place) => {
      if (other === undefined || report.touches([...path, 'requirements', place])) return false;
      return exclude(one, other) && overlap(product, one.versions, other.versions);
    });
    const other = all[earlier];
    if (other === undefined) continue;
    const line = report.lineOf([...path, 'requirements', earlier]);
    const what = `no host can have ${one.fact} ${wantedOf(one)} and ${wantedOf(other)}, as line ${line} wants it`;
    const isForSome = one.versions !== null && other.versions !== null && one.versions !== other.versions;
    const which = isForSome ? ` to versions in ${one.versions} and ${other.versions}` : '';
    report.add(
      at,
      what,
      `no agent would be updated${which} any more: remove one${isForSome ? ', or part the ranges' : ''}`,
    );
  }
}

function overlap({ scheme }: RawProduct, one: string | null, other: string | null): boolean {
  if (one === other || one === null || other === null) return true;
  const { range } = schemeOf(scheme);
  return range(one) !== undefined && range(other) !== undefined && haveCommon(scheme, one, other);
}
