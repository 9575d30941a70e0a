// Real histories for the recorded GitHub: files of a repository's public tags, each served as a release without files.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RecordedRepositories } from './recorded-repositories.ts';

export interface ReleaseHistory {
  /** `owner/name`. */
  repository: string;
  /** `date`: ISO 8601 with offset. */
  tags: { tag: string; commit: string; date: string }[];
}

/**
 * Makes the repository of each `*.json` in the directory, in the order of the names, with a release for every tag: its
 * date and its commit, no assets, and nothing else, since nothing else is known. Throws `conflict` for what exists.
 */
export async function loadReleaseHistories(
  repositories: RecordedRepositories,
  directory: string,
): Promise<{ repository: string; releases: number }[]> {
  const files = readdirSync(directory).filter((name) => name.endsWith('.json'));
  const loaded: { repository: string; releases: number }[] = [];
  for (const file of files.sort()) {
    const history = JSON.parse(readFileSync(join(directory, file), 'utf8')) as ReleaseHistory;
    repositories.create(history.repository);
    for (const { tag, commit, date } of history.tags) {
      await repositories.publish(history.repository, { tag, commit, publishedAt: Date.parse(date) });
    }
    loaded.push({ repository: history.repository, releases: history.tags.length });
  }
  return loaded;
}
