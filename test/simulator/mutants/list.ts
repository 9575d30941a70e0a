// The deliberate bugs that the simulator must find: each an exact text of the source and what stands there instead.

export interface Edit {
  /** From the root of the repository. */
  file: string;
  /** Stands exactly once in the file. */
  from: string;
  to: string;
}

export interface Mutant {
  name: string;
  /** The promises of DESIGN §9 that it breaks; D0 where the engine's own assertions or indexes may be first to object. */
  breaks: readonly string[];
  edits: readonly Edit[];
}

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: texts of the source, not templates.
export const MUTANTS: readonly Mutant[] = [
  // T: who gets what.
  {
    name: 'busy_with_another_product_gets_a_grant',
    breaks: ['T1', 'D0', 'A0'],
    edits: [
      {
        file: 'src/domain/decide.ts',
        from: "  if (hot !== undefined) return trace.hold('busy', 'busy', hot.product);\n",
        to: '',
      },
      {
        file: 'src/domain/decide.ts',
        from: '  const decisions = about.length > 0 ? about : all;\n',
        to: "  const decisions = about.some(({ answer }) => answer.kind === 'activate') ? about : all;\n",
      },
    ],
  },
  {
    name: 'newer_versions_are_brought_down',
    breaks: ['T2'],
    edits: [
      {
        file: 'src/domain/decide.ts',
        from: '  if (order > 0 && !isBack)\n',
        to: '  if (order > 9 && !isBack)\n',
      },
      {
        file: 'src/domain/decide.ts',
        from: '  return scheme.compare(running.version, version) < 0;\n',
        to: '  return scheme.compare(running.version, version) !== 0;\n',
      },
    ],
  },
  {
    name: 'unknown_reads_as_available',
    breaks: ['T3'],
    edits: [
      {
        file: 'src/domain/opening-gates.ts',
        from: "    case 'unknown':\n      return wait(",
        to: "    case 'unknown':\n      if (row.since > 0) return pass(gate, detail);\n      return wait(",
      },
      {
        file: 'src/domain/availability.ts',
        from: "(row.status === 'unknown' && row.since <= openedAt);",
        to: "(row.status === 'unknown' && row.since < 0);",
      },
      {
        file: 'src/domain/availability.ts',
        from: "  return status === 'absent' || (status === 'unknown' && wasAbsent === true);\n",
        to: "  return status === 'absent' && wasAbsent !== true;\n",
      },
    ],
  },
  {
    name: 'what_turned_absent_is_still_granted',
    breaks: ['T3'],
    edits: [
      {
        file: 'src/domain/directives.ts',
        from: "    absent: platformsHeld(input, lane, release, 'not_available'),\n",
        to: '    absent: [],\n',
      },
    ],
  },
  {
    name: 'artifact_of_the_first_platform_for_everybody',
    breaks: ['T4'],
    edits: [
      {
        file: 'src/domain/decide.ts',
        from: 'const artifact = stop.artifacts.find((one) => one.platform === agent.platform);',
        to: 'const artifact = stop.artifacts[0];',
      },
    ],
  },
  {
    name: 'brake_of_a_region_is_not_asked',
    breaks: ['T5'],
    edits: [
      {
        file: 'src/domain/directives.ts',
        from: "const scopes = ['fleet', `product:${product}`, `region:${region}`];",
        to: "const scopes = ['fleet', `product:${product}`, `region:${region.length}`];",
      },
    ],
  },
  {
    name: 'one_attempt_more_than_the_policy_gives',
    breaks: ['T5'],
    edits: [
      {
        file: 'src/domain/decide.ts',
        from: 'if (used >= lane.attemptsPerAgent) return',
        to: 'if (used > lane.attemptsPerAgent) return',
      },
    ],
  },
  {
    name: 'pins_are_not_asked_in_the_books',
    breaks: ['T5'],
    edits: [{ file: 'src/engine/book.ts', from: '      pins: set.pinsOf(agent.id),\n', to: '      pins: [],\n' }],
  },
  {
    name: 'limit_of_the_fleet_off_by_one',
    breaks: ['T6'],
    edits: [
      {
        file: 'src/domain/limits.ts',
        from: 'if (max.fleet !== null && used.fleet >= max.fleet)',
        to: 'if (max.fleet !== null && used.fleet > max.fleet)',
      },
    ],
  },
  {
    name: 'limit_of_downloads_off_by_one',
    breaks: ['T6'],
    edits: [
      {
        file: 'src/domain/limits.ts',
        from: '  return fullPlace(downloads, occupied.downloads, region);\n',
        to: '  return fullPlace({ fleet: downloads.fleet, region: downloads.region && downloads.region + 1 }, occupied.downloads, region);\n',
      },
    ],
  },
  {
    name: 'all_newcomers_download_at_once',
    breaks: ['T6'],
    edits: [
      {
        file: 'src/domain/decide.ts',
        from: 'if (lane.maxDownloading !== null && here >= lane.maxDownloading)',
        to: 'if (lane.maxDownloading !== null && here >= 9 * lane.maxDownloading)',
      },
    ],
  },
  {
    name: 'limit_of_the_site_off_by_one',
    breaks: ['T6'],
    edits: [
      {
        file: 'src/domain/limits.ts',
        from: 'if (atSite < limits.site.max) return undefined;',
        to: 'if (atSite <= limits.site.max) return undefined;',
      },
    ],
  },
  {
    name: 'limit_of_the_lane_off_by_one',
    breaks: ['T6'],
    edits: [
      { file: 'src/domain/decide.ts', from: 'if (hotInLane >= lane.maxHot)', to: 'if (hotInLane > lane.maxHot)' },
    ],
  },
  // S: how a release goes out.
  {
    name: 'next_wave_while_the_one_before_soaks',
    breaks: ['S1', 'S1.order'],
    edits: [
      {
        file: 'src/domain/rollout.ts',
        from: "  return state.name === 'completed' || isSkipped(state);\n",
        to: "  return state.name === 'completed' || state.name === 'soaking' || isSkipped(state);\n",
      },
    ],
  },
  {
    name: 'done_while_members_are_at_risk',
    breaks: ['S1', 'S1.evidence'],
    edits: [
      {
        file: 'src/domain/verdict.ts',
        from: "  if (counters.succeeded >= need && counters.hotMembers === 0) return { kind: 'done', budget, need };\n",
        to: "  if (counters.succeeded >= need) return { kind: 'done', budget, need };\n",
      },
    ],
  },
  {
    name: 'half_of_the_successes_are_enough',
    breaks: ['S1', 'S1.evidence'],
    edits: [
      {
        file: 'src/domain/verdict.ts',
        from: 'return Math.max(1, ofThoseLeft, ceilHalf(size) - allowance);',
        to: 'return Math.max(1, ofThoseLeft / 2, ceilHalf(size) / 2 - allowance);',
      },
    ],
  },
  {
    name: 'empty_step_passes',
    breaks: ['S2', 'D0'],
    edits: [
      {
        file: 'src/domain/opening-gates.ts',
        from: 'if (preview.members > 0) return',
        to: 'if (preview.eligible > 0) return',
      },
      {
        file: 'src/domain/verdict.ts',
        from: 'return Math.max(1, ofThoseLeft, ceilHalf(size) - allowance);',
        to: 'return Math.max(0, ofThoseLeft, ceilHalf(size) - allowance);',
      },
    ],
  },
  {
    name: 'lost_counts_as_a_success',
    breaks: ['S1.evidence', 'S4'],
    edits: [
      {
        file: 'src/domain/attempt.ts',
        from: "    case 'rolled_back':\n    case 'lost':\n      return 'bad';\n",
        to: "    case 'rolled_back':\n      return 'bad';\n    case 'lost':\n      return 'succeeded';\n",
      },
    ],
  },
  {
    name: 'late_joiners_give_evidence',
    breaks: ['S1.evidence', 'D2'],
    edits: [
      {
        file: 'src/domain/counters.ts',
        from: "when(one.weight === 'succeeded' && one.member)",
        to: "when(one.weight === 'succeeded')",
      },
    ],
  },
  {
    name: 'ranks_are_shuffled_anew_for_every_step',
    breaks: ['S3'],
    edits: [
      {
        file: 'src/engine/census.ts',
        from: '    seed: rollout.seed,\n',
        to: '    seed: (rollout.seed ^ (0x9e3779b9 * (step + 1))) >>> 0,\n',
      },
    ],
  },
  {
    name: 'strict_budget_forgets_who_is_at_risk',
    breaks: ['S4'],
    edits: [
      {
        file: 'src/domain/decide.ts',
        from: 'const room = step.strict ? step.budget - bad - hot : step.budget - bad;',
        to: 'const room = step.budget - bad;',
      },
    ],
  },
  {
    name: 'budget_off_by_one',
    breaks: ['S4'],
    edits: [
      {
        file: 'src/domain/verdict.ts',
        from: 'return Math.max(1, Math.min(byCount, byRatio, size - need0 + 1)) + allowance;',
        to: 'return Math.max(1, Math.min(byCount, byRatio, size - need0 + 1)) + allowance + 1;',
      },
    ],
  },
  {
    name: 'paused_lane_offers',
    breaks: ['S5'],
    edits: [
      {
        file: 'src/domain/directives.ts',
        from: "  if (lane.state.name === 'paused') return { reason: 'paused', detail: lane.state.reason };\n",
        to: '',
      },
    ],
  },
  {
    name: 'halted_lane_keeps_what_was_offered',
    breaks: ['S5', 'D2'],
    edits: [
      {
        file: 'src/engine/commit.ts',
        from: '  for (const id of set.halted) await withdrawUngranted(tx, id, now);\n',
        to: '',
      },
    ],
  },
  {
    name: 'halt_is_forgotten_on_restart',
    breaks: ['S6'],
    edits: [
      {
        file: 'src/engine/commit.ts',
        from: '    if (set.halted.has(lane.id)) await saveLane(tx, lane, lane.revision - 1);\n',
        to: '',
      },
    ],
  },
  {
    name: 'automatic_veto_is_kept_in_memory',
    breaks: ['S6'],
    edits: [
      {
        file: 'src/engine/commit.ts',
        from: '  for (const veto of set.newVetoes) await putVeto(tx, veto);\n',
        to: '',
      },
    ],
  },
  {
    name: 'ceilings_by_the_wall_clock',
    breaks: ['S7'],
    edits: [
      {
        file: 'src/engine/grant-log.ts',
        from: '      const monotonic = clock.monotonic();\n      for',
        to: '      const monotonic = opened.monotonic + clock.now() - opened.wall;\n      for',
      },
      {
        file: 'src/engine/grant-log.ts',
        from: 'const [wall, monotonic] = [clock.now(), clock.monotonic()];',
        to: 'const [wall, monotonic] = [clock.now(), opened.monotonic + clock.now() - opened.wall];',
      },
    ],
  },
  {
    name: 'ceilings_are_full_one_too_late',
    breaks: ['S7'],
    edits: [
      {
        file: 'src/domain/ceilings.ts',
        from: 'if (count < max || leavesAt === null',
        to: 'if (count <= max || leavesAt === null',
      },
    ],
  },
  {
    name: 'two_lanes_of_a_product_are_live_in_a_region',
    breaks: ['S8', 'D0'],
    edits: [
      {
        file: 'src/domain/opening-gates.ts',
        from: '  if (detail === undefined) return pass(',
        to: '  if (detail !== null) return pass(',
      },
    ],
  },
  {
    name: 'what_a_person_must_begin_begins_by_itself',
    breaks: ['S9'],
    edits: [
      {
        file: 'src/domain/choose.ts',
        from: "  if (policy.begin === 'manual') return none(",
        to: '  if (policy.steps.length === 0) return none(',
      },
    ],
  },
  {
    name: 'manual_steps_ask_nobody',
    breaks: ['S9'],
    edits: [
      {
        file: 'src/domain/step-gates.ts',
        from: '  if (!policy.manual) return pass(',
        to: '  if (step.done) return pass(',
      },
    ],
  },
  {
    name: 'approval_is_not_bound_to_the_files',
    breaks: ['S9'],
    edits: [
      {
        file: 'src/domain/approval.ts',
        from: '  if (approval.subject !== present) return',
        to: '  if (approval.subject === `${present}?`) return',
      },
    ],
  },
  {
    name: 'approvals_never_expire',
    breaks: ['S9', 'D0'],
    edits: [
      {
        file: 'src/domain/approval.ts',
        from: '  return now < approval.expiresAt ? undefined :',
        to: '  return now < approval.expiresAt * 2 ? undefined :',
      },
    ],
  },
  {
    name: 'one_person_is_two_approvers',
    breaks: ['S9'],
    edits: [
      {
        file: 'src/domain/approve.ts',
        from: 'if (given || standing.some((one) => one.by === actor)) return undefined;',
        to: 'if (given) return undefined;',
      },
    ],
  },
  {
    name: 'retry_keeps_the_approvals',
    breaks: ['S9'],
    edits: [
      {
        file: 'src/domain/verbs.ts',
        from: 'budgetEpoch: lane.budgetEpoch + 1, approvals: [] };',
        to: 'budgetEpoch: lane.budgetEpoch + 1 };',
      },
    ],
  },
  // D: the books.
  {
    name: 'outcome_is_booked_again',
    breaks: ['D1'],
    edits: [
      {
        file: 'src/engine/book.ts',
        from: "  if (attempt.state === reported.state || reported.state === 'offered') return undefined;\n",
        to: "  if (reported.state === 'offered') return undefined;\n",
      },
      {
        file: 'src/engine/book.ts',
        from: '!mayFollow(attempt.state, reported.state)) {\n',
        to: 'attempt.state !== reported.state && !mayFollow(attempt.state, reported.state)) {\n',
      },
    ],
  },
  {
    name: 'attempts_of_others_are_believed',
    breaks: ['D1', 'D1.truth', 'A0'],
    edits: [
      {
        file: 'src/engine/book.ts',
        from: '  if (attempt.agentId !== agent.id)\n',
        to: '  if (attempt.agentId === agent.name)\n',
      },
    ],
  },
  {
    name: 'counters_are_booked_twice',
    breaks: ['D2'],
    edits: [
      {
        file: 'src/engine/working-set.ts',
        from: 'retally(step.counters, before, this.stepAttempts(attempt, lane)',
        to: 'retally(step.counters, before.slice(1), this.stepAttempts(attempt, lane)',
      },
    ],
  },
  {
    name: 'losses_are_not_counted',
    breaks: ['D2'],
    edits: [
      {
        file: 'src/engine/execute.ts',
        from: '  if (found === undefined || !countsIn(found.lane, ended)) return after;\n',
        to: "  if (found === undefined || ended.state === 'lost' || !countsIn(found.lane, ended)) return after;\n",
      },
    ],
  },
  {
    name: 'retry_does_not_begin_a_new_budget',
    breaks: ['D2', 'S4'],
    edits: [
      {
        file: 'src/domain/verbs.ts',
        from: 'budgetEpoch: lane.budgetEpoch + 1, approvals',
        to: 'budgetEpoch: lane.budgetEpoch, approvals',
      },
    ],
  },
  {
    name: 'memory_keeps_whom_the_books_took_out',
    breaks: ['D2', 'T5', 'S2', 'L5'],
    edits: [
      {
        file: 'src/engine/unenrol.ts',
        from: '  roster.retire(handle);\n',
        to: '',
      },
    ],
  },
  {
    name: 'reply_before_commit',
    breaks: ['D3', 'D4'],
    edits: [
      {
        file: 'src/engine/commit.ts',
        from: `    const written = transaction(deps.database, async (tx) => {
      const batch = await writeBatch(deps, tx, items);
      granted = batch.set.granted;
      return batch;
    });
`,
        to: `    let answer: (batch: Batch) => void = () => {};
    const early = new Promise<Batch>((resolve) => {
      answer = resolve;
    });
    const whole = transaction(deps.database, (tx) => writeBatch({ ...deps, answer } as CommitDeps, tx, items));
    const written = Promise.race([early, whole]);
    whole.catch(() => {});
`,
      },
      {
        file: 'src/engine/commit.ts',
        from: '  await write(tx, set, context.now);\n',
        to: `  (deps as unknown as { answer(batch: Batch): void }).answer({ settled, set, enrolled });
  await write(tx, set, context.now);
`,
      },
    ],
  },
  {
    name: 'slot_of_a_lost_attempt_stays',
    breaks: ['D5', 'D0', 'T6'],
    edits: [
      {
        file: 'src/store/attempts.ts',
        from: '    hot: isHot(attempt.state) ? 1 : 0,\n',
        to: "    hot: isHot(attempt.state) || attempt.state === 'lost' ? 1 : 0,\n",
      },
    ],
  },
  {
    name: 'silence_is_not_written_down',
    breaks: ['D6', 'D1'],
    edits: [
      {
        file: 'src/engine/execute.ts',
        from: '    entry(input.now, `attempt.${ended.state}`, ended.id, {\n',
        to: "    entry(input.now, 'agent.silent', ended.id, {\n",
      },
    ],
  },
  {
    name: 'audit_chain_begins_anew_with_every_batch',
    breaks: ['D6'],
    edits: [
      {
        file: 'src/store/audit.ts',
        from: '      prev_hash: head.hash,\n',
        to: '      prev_hash: rows.at(-1)?.hash ?? FIRST_PREVIOUS,\n',
      },
    ],
  },
  // C: time.
  {
    name: 'steps_open_by_a_doubted_clock',
    breaks: ['C1'],
    edits: [
      { file: 'src/domain/plan.ts', from: 'const doubted = snapshot.clock !== null;', to: 'const doubted = false;' },
    ],
  },
  {
    name: 'grants_by_a_doubted_clock',
    breaks: ['C1'],
    edits: [{ file: 'src/domain/directives.ts', from: '    clock: input.clock,\n', to: '    clock: null,\n' }],
  },
  {
    name: 'soak_by_wall_clock',
    breaks: ['C2.soak'],
    edits: [
      {
        file: 'src/domain/step-gates.ts',
        from: 'const leftMs = policy.soakMs - (input.snapshot.observedMs - startedMs);',
        to: 'const leftMs = policy.soakMs - (startedMs < 0 ? 0 : input.now - input.lane.state.since);',
      },
      {
        file: 'src/engine/census.ts',
        from: '  return observedMs - state.observedMs >= (rollout.policy.steps[state.step]?.soakMs ?? 0);\n',
        to: '  return observedMs >= state.observedMs;\n',
      },
    ],
  },
  {
    name: 'a_stopped_server_has_observed',
    breaks: ['C2.soak', 'C2.lost', 'C2.gone'],
    edits: [
      {
        file: 'src/engine/observed-time.ts',
        from: 'observed += Math.min(Math.max(0, monotonic - last), LONGEST_STEP_MS);',
        to: 'observed += Math.min(Math.max(0, monotonic - last), LONGEST_STEP_MS * 1000);',
      },
    ],
  },
  {
    name: 'a_pause_counts_as_soak',
    breaks: ['C2.soak'],
    edits: [
      {
        file: 'src/domain/verbs.ts',
        from: "before.name === 'soaking' ? { ...before, observedMs: observedMs - soakedMs } : before;",
        to: "before.name === 'soaking' ? { ...before, observedMs: Math.min(before.observedMs, observedMs - soakedMs) } : before;",
      },
    ],
  },
  {
    name: 'a_brake_counts_as_soak',
    breaks: ['C2.soak'],
    edits: [
      {
        file: 'src/engine/operator.ts',
        from: '    if (braked <= 0) continue;\n',
        to: '    if (braked <= 0 || on(lane)) continue;\n',
      },
      {
        file: 'src/engine/operator.ts',
        from: '  const resumed: Lane[] = [];\n',
        to: '  const on = (lane: Lane) => lane.steps.length > 0;\n  const resumed: Lane[] = [];\n',
      },
    ],
  },
  {
    name: 'everybody_is_gone_after_a_restart',
    breaks: ['C2.gone'],
    edits: [
      {
        file: 'src/engine/load-roster.ts',
        from: '    for (const agent of page) roster.put(agent, observedMs);\n',
        to: '    for (const agent of page) roster.put(agent, observedMs - 86_400_000);\n',
      },
    ],
  },
  {
    name: 'who_was_not_heard_yet_is_silent',
    breaks: ['C2.silent'],
    edits: [
      {
        file: 'src/domain/presence.ts',
        from: 'const maybe = updatedPresent + unheard;',
        to: 'const maybe = updatedPresent - unheard;',
      },
    ],
  },
  {
    name: 'lost_before_its_time',
    breaks: ['C2.lost'],
    edits: [
      {
        file: 'src/domain/policy.ts',
        from: '  return policy.activateWithinMs + 2 * (policy.proveWithinMs + policy.stableForMs) + policy.staleAfterMs;\n',
        to: '  return policy.activateWithinMs;\n',
      },
    ],
  },
  {
    name: 'windows_by_the_clock_of_greenwich',
    breaks: ['C3', 'C4'],
    edits: [
      {
        file: 'src/domain/window.ts',
        from: 'const local = Temporal.Instant.fromEpochMilliseconds(instant).toZonedDateTimeISO(zone);\n  const date =',
        to: "const local = Temporal.Instant.fromEpochMilliseconds(instant).toZonedDateTimeISO('UTC');\n  const date =",
      },
    ],
  },
  {
    name: 'a_grant_may_outlast_its_window',
    breaks: ['C4'],
    edits: [
      {
        file: 'src/domain/decide.ts',
        from: 'window.closesAt - now >= lane.attemptMs) return undefined;',
        to: 'window.closesAt - now >= 0) return undefined;',
      },
    ],
  },
  // M: several, and again.
  {
    name: 'enrolling_again_makes_another_agent',
    breaks: ['M2', 'D0'],
    edits: [
      {
        file: 'src/engine/enrol.ts',
        from: 'if (known.enrolTokenId === input.tokenId) return known;',
        to: 'if (known.enrolTokenId === input.tokenId) return { ...known, id: context.newId() };',
      },
    ],
  },
  // L: it goes on, or says why not.
  {
    name: 'waves_wait_without_a_reason',
    breaks: ['L1'],
    edits: [
      {
        file: 'src/domain/plan.ts',
        from: 'else if (step.hold !== null) report.push(',
        to: "else if (step.hold !== null && step.hold.reason !== 'previous_wave') report.push(",
      },
    ],
  },
  {
    name: 'another_sequence_than_the_host_takes',
    breaks: ['L3', 'L5'],
    edits: [
      {
        file: 'src/engine/book.ts',
        from: "return attempt.state === 'offered' && attempt.sequence <= Math",
        to: "return attempt.state === 'offered' && attempt.sequence < -Math",
      },
    ],
  },
  {
    name: 'nobody_takes_the_seats_of_the_gone',
    breaks: ['L4', 'L5'],
    edits: [
      {
        file: 'src/domain/verdict.ts',
        from: 'silence.gone + silence.ineligible + counters.exhausted);',
        to: 'silence.ineligible + counters.exhausted);',
      },
      {
        file: 'src/domain/step-gates.ts',
        from: '  const count = Math.min(gone, replaceable);\n',
        to: '  const count = Math.min(0, gone, replaceable);\n',
      },
    ],
  },
  {
    name: 'halted_lanes_never_give_way',
    breaks: ['L5'],
    edits: [
      {
        file: 'src/domain/supersede.ts',
        from: "  if (lane.state.name === 'halted' || isBarred(snapshot, rollout)) return true;\n",
        to: "  if (lane.state.name === 'halted') return false;\n  if (isBarred(snapshot, rollout)) return true;\n",
      },
    ],
  },
  {
    name: 'newcomers_are_left_where_they_are',
    breaks: ['L3', 'L5'],
    edits: [
      {
        file: 'src/domain/plan-baseline.ts',
        from: 'else if (rollout !== undefined && outdated.length === 0 && snapshot.clock === null) {',
        to: 'else if (rollout !== undefined && outdated.length > 0 && snapshot.clock === null) {',
      },
    ],
  },
  // M: two servers on one database, and a database that is taken back.
  {
    name: 'a_server_that_was_replaced_writes_on',
    breaks: ['M1'],
    edits: [
      {
        file: 'src/store/fence.ts',
        from: '      if (lost !== null) throw lost;\n',
        to: '',
      },
    ],
  },
  {
    name: 'who_takes_over_raises_no_term',
    breaks: ['M1'],
    edits: [
      {
        file: 'src/store/take-over.ts',
        from: '?? 0) + 1;',
        to: '?? 1);',
      },
    ],
  },
  {
    name: 'a_restored_database_goes_on_by_itself',
    breaks: ['M3.person'],
    edits: [
      {
        file: 'src/store/restored.ts',
        from: '    await brakeFleet(tx, mark);\n',
        to: '',
      },
    ],
  },
  {
    name: 'a_restore_keeps_the_epoch',
    breaks: ['M3.epoch'],
    edits: [
      {
        file: 'src/store/restored.ts',
        from: 'Math.max(fleet.epoch, mark.lastEpoch) + 1;',
        to: 'Math.max(fleet.epoch, mark.lastEpoch);',
      },
    ],
  },
  {
    name: 'who_has_not_reported_is_not_stale',
    breaks: ['M3.stale', 'M3.adopted'],
    edits: [
      {
        file: 'src/store/restored.ts',
        from: '    const stale = await markAllStale(tx);\n',
        to: '    const stale = 0;\n',
      },
    ],
  },
  {
    name: 'outcomes_of_the_lost_future_are_dropped',
    breaks: ['M3.adopted', 'L5'],
    edits: [
      {
        file: 'src/engine/book.ts',
        from: '  if (isStale) adoptEnds(set, agent, report, context);\n',
        to: '',
      },
    ],
  },
  {
    name: 'an_adopted_outcome_is_booked_twice',
    breaks: ['M3.once', 'D1', 'D2'],
    edits: [
      {
        file: 'src/engine/book.ts',
        from: '    if (set.attempts.has(reported.id) || !ENDED_BY_AGENT',
        to: '    if (!ENDED_BY_AGENT',
      },
    ],
  },
];
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: see above.
