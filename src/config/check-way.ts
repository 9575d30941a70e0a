// What a config says of the way up: floors and the lowest version, none of which may strand the agents below it.
import { isInChannel } from '../domain/choose.ts';
import { schemeOf } from '../domain/version/schemes.ts';
import { haveCommon } from './ranges.ts';
import type { Path, Report } from './report.ts';
import type { RawProduct } from './shape.ts';

/** Notes what is wrong with the product's floors and `from`; `path` is that of the product. */
export function checkWay(product: RawProduct, path: Path, report: Report): void {
  if (report.touches([...path, 'scheme'])) return;
  const { from, floors } = product;
  if (from !== null && checkVersion(product, from, [...path, 'from'], report))
    refuseBeyond(product, from, path, report);
  for (const [index, floor] of floors.entries()) {
    const at = [...path, 'floors', index, 'version'];
    if (report.touches([...path, 'floors', index])) continue;
    if (!checkVersion(product, floor.version, at, report)) continue;
    refuseUnreachable(product, floor.version, path, at, report);
    refuseTwin(product, index, path, at, report);
  }
}

/** Ascending, whatever the order in the file. */
export function sortedFloors({ scheme, floors }: RawProduct): RawProduct['floors'] {
  const { parse, compare } = schemeOf(scheme);
  const isSound = floors.every(({ version }) => parse(version) !== undefined);
  return isSound ? floors.toSorted((a, b) => compare(a.version, b.version)) : floors;
}

function checkVersion({ scheme }: RawProduct, version: string, path: Path, report: Report): boolean {
  if (report.touches(path)) return false;
  if (schemeOf(scheme).parse(version) !== undefined) return true;
  report.add(path, `"${version}" is not a version of the scheme ${scheme}`, 'write it without the tag’s prefix, whole');
  return false;
}

/** Nobody below `from` is updated; where nothing above it is accepted, nobody at or above it is either. */
function refuseBeyond({ scheme, accept }: RawProduct, from: string, path: Path, report: Report): void {
  if (accept === null || report.touches([...path, 'accept'])) return;
  if (schemeOf(scheme).range(accept) === undefined || haveCommon(scheme, `>${from}`, accept)) return;
  const what = `accept (${accept}) has no version above ${from}: no agent could be updated any more`;
  report.add([...path, 'from'], what, 'lower `from`, or widen accept');
}

/** A floor that is never let out, or that nobody may be updated to: who is below it would be held for ever. */
function refuseUnreachable(product: RawProduct, version: string, path: Path, at: Path, report: Report): void {
  const scheme = schemeOf(product.scheme);
  const { accept, prereleases, from } = product;
  const range = accept === null || report.touches([...path, 'accept']) ? undefined : scheme.range(accept);
  if (range?.includes(version) === false) {
    const what = `accept (${accept}) leaves this floor out: agents below it could not be updated any more`;
    report.add(at, what, 'widen accept, or choose a floor within');
    return;
  }
  const prerelease = scheme.parse(version)?.prerelease === true;
  if (!report.touches([...path, 'prereleases']) && !isInChannel({ version, prerelease }, prereleases)) {
    const what = 'prereleases leaves this floor out: no region would ever have it';
    report.add(at, what, 'let such prereleases in, or choose a release');
    return;
  }
  const lowest = from === null || report.touches([...path, 'from']) ? null : from;
  if (lowest === null || scheme.compare(version, lowest) > 0) return;
  const what = `agents are updated from ${lowest} up, so none would ever stop at this floor`;
  report.add(at, what, 'remove it, or lower `from` below it');
}

function refuseTwin({ scheme, floors }: RawProduct, index: number, path: Path, at: Path, report: Report): void {
  const { parse, compare } = schemeOf(scheme);
  const { version } = floors[index] as RawProduct['floors'][number];
  const twin = floors.slice(0, index).findIndex((one) => {
    return parse(one.version) !== undefined && compare(one.version, version) === 0;
  });
  if (twin < 0 || report.touches(at)) return;
  const line = report.lineOf([...path, 'floors', twin, 'version']);
  report.add(at, `the floor ${version} stands twice, first in line ${line}`, 'remove one');
}
