// GET /api/v1/products/:name/history: a product's releases in order, with jumps, and what a range picks on a given day.
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Config } from '../config.ts';
import {
  type Channel,
  type HistoryFilter,
  type HistoryRow,
  highestOn,
  historyOf,
  rangeOf,
  unknownNames,
} from '../domain/history.ts';
import { refusedVersions } from '../domain/refused.ts';
import type { Release } from '../domain/release.ts';
import { AppError } from '../errors.ts';
import { ProductHistoryReply, STORABLE } from '../protocol/operator.ts';
import { listVetoes } from '../store/controls.ts';
import type { Db } from '../store/database.ts';
import { listReleases, loadSource } from '../store/releases.ts';
import type { ApiDeps, App } from './deps.ts';
import { PROBLEMS } from './http-errors.ts';
import { sourceView } from './status-view.ts';

const DEFAULT_LIMIT = 100;
const MAX_WHY = 500;
const MAX_REJECTED = 100;
const MAX_REFUSED = 100;
const MAX_NAMES = 20;

const Params = Type.Object(
  { name: Type.String({ minLength: 1, maxLength: 64, pattern: STORABLE }) },
  { additionalProperties: false },
);
const Query = Type.Object(
  {
    // What is wrong with these texts is said in words, by readFilter.
    channel: Type.Optional(Type.String({ pattern: '^[ -~]{1,1000}$' })),
    range: Type.Optional(Type.String({ pattern: '^[ -~]{1,256}$' })),
    on: Type.Optional(Type.String({ pattern: '^[ -~]{1,64}$' })),
    // 1 … 1000 as digits: query values are texts and are not converted.
    limit: Type.Optional(Type.String({ pattern: '^([1-9][0-9]{0,2}|1000)$' })),
  },
  { additionalProperties: false },
);

interface Question {
  channel?: string;
  range?: string;
  on?: string;
  limit?: string;
}

type Product = Config['products'][number];

/** `onRequest` authenticates. */
export function productHistoryRoute(
  app: App,
  { database, config, clock }: ApiDeps,
  onRequest: (request: FastifyRequest) => Promise<void>,
): void {
  app.get(
    '/api/v1/products/:name/history',
    { onRequest, schema: { params: Params, querystring: Query, response: { 200: ProductHistoryReply, ...PROBLEMS } } },
    async ({ params, query }) => {
      const product = productNamed(config.products, params.name);
      return await viewHistory(database.db, product, query, clock.now());
    },
  );
}

async function viewHistory(db: Db, product: Product, query: Question, now: number): Promise<ProductHistoryReply> {
  const filter = readFilter(product, query);
  const releases = await listReleases(db, product.name);
  const vetoes = (await listVetoes(db)).filter((veto) => veto.product === product.name);
  const source = await loadSource(db, product.name);
  const rows = historyOf(releases, product, filter);
  const vetoed = new Map(vetoes.map((veto) => [veto.version, veto.reason]));
  return {
    now,
    product: product.name,
    repository: product.repository,
    scheme: product.scheme,
    tags: [...product.tags],
    channel: nameOf(filter.channel),
    range: filter.range?.text ?? null,
    on: filter.day,
    highest: highestOn(releases, product, filter, [...vetoed.keys()])?.version ?? null,
    releases: releases.length,
    matching: rows.length,
    rows: rows.slice(0, Number(query.limit ?? DEFAULT_LIMIT)).map((row) => viewRow(row, vetoed)),
    rejectedTags: source?.rejectedCount ?? 0,
    rejected: (source?.rejectedTags ?? []).slice(0, MAX_REJECTED).map(({ tag, why }) => ({ tag, why: cut(why) })),
    refused: refusedVersions(releases).slice(0, MAX_REFUSED),
    source: sourceView(source),
    unknownNames: query.channel === undefined ? null : viewNames(releases, filter.channel),
  };
}

function viewNames(releases: readonly Release[], channel: Channel): ReturnType<typeof unknownNames> {
  const found = unknownNames(releases, channel);
  return found === null ? null : { names: found.names, known: found.known.slice(0, MAX_NAMES) };
}

function viewRow(
  { release, from, jump }: HistoryRow<Release>,
  vetoed: ReadonlyMap<string, string>,
): ProductHistoryReply['rows'][number] {
  const { tag, version, publishedAt, prerelease, state, why } = release;
  const veto = vetoed.get(version);
  const said = veto === undefined ? why : `vetoed: ${veto}`;
  return { tag, version, publishedAt, prerelease, state, why: said === null ? null : cut(said), from, jump };
}

/** What is not asked for is as the product has it. */
function readFilter(product: Product, { channel, range, on }: Question): HistoryFilter {
  if (range !== undefined && rangeOf(product, range) === undefined) {
    const what = `“${range}” is not a range of the scheme ${product.scheme}, or no version can be in it`;
    throw new AppError('bad_request', what, { where: 'querystring/range', hint: 'Write e.g. ">=1.4 <3".' });
  }
  if (on !== undefined && !isDay(on)) {
    const hint = 'Write a day as 2025-08-05.';
    throw new AppError('bad_request', `there is no day ${on}`, { where: 'querystring/on', hint });
  }
  return {
    channel: channel === undefined ? product.prereleases : readChannel(channel),
    range: rangeOf(product, range ?? product.accept),
    day: on ?? null,
  };
}

function readChannel(text: string): Channel {
  if (text === 'stable') return false;
  if (text === 'all') return true;
  const names = text.split(',');
  const wrong = names.find((name) => !/^[0-9A-Za-z-]{1,32}$/.test(name));
  if (wrong === undefined && names.length <= MAX_NAMES) return names;
  const what = wrong === undefined ? `these are more than ${MAX_NAMES} names` : `“${cut(wrong)}” names no prerelease`;
  throw new AppError('bad_request', what, {
    where: 'querystring/channel',
    hint: 'Write stable, all, or names of letters, digits and hyphens joined by commas, such as rc,beta.',
  });
}

function nameOf(channel: Channel): string {
  if (channel === false) return 'stable';
  return channel === true ? 'all' : channel.join(',');
}

function isDay(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const at = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(text);
}

function productNamed(products: Config['products'], name: string): Product {
  const product = products.find((one) => one.name === name);
  if (product !== undefined) return product;
  throw new AppError('not_found', `the config has no product ${name}`, {
    where: 'params/name',
    hint: `There are: ${products.map((one) => one.name).join(', ')}.`,
  });
}

function cut(text: string): string {
  return text.length > MAX_WHY ? `${text.slice(0, MAX_WHY - 3)}...` : text;
}
