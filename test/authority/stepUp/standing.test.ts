/** What a held request meets: one challenge for all that ask for the same, and limits for those who ask too much. */
import { describe, expect, it } from 'vitest';
import type { Challenge } from '../../../src/authority/stepUp/challenge.ts';
import { findStanding, keepUntil, MAX_PENDING } from '../../../src/authority/stepUp/standing.ts';
import { NOW, SECONDS } from '../zone.ts';
import { challenge, permitAt } from './samples.ts';

const SESSION = { sid: 'sid', agentSessionID: 'agent-1' };
const HOUR = 3_600_000;
const OTHER = 'another act';
const decidedAt = (approved: boolean, at: number) => ({ approved, by: 'operator:olga', at });
const approved = challenge({ state: 'approved', decision: decidedAt(true, NOW) });
const rejected = challenge({ state: 'rejected', decision: decidedAt(false, NOW) });
const consumed = challenge({ state: 'consumed', spent: { at: NOW, record: permitAt(NOW) } });

describe('findStanding', () => {
  const rows: Readonly<Record<string, readonly [standing: readonly Challenge[], now: number, type: string]>> = {
    'nothing stands where nobody asked': [[], NOW, 'none'],
    'a pending one is shared': [[challenge()], NOW + HOUR - 1, 'pending'],
    'a pending one is shared no longer than it lives': [[challenge()], NOW + HOUR, 'none'],
    'an approved one waits to be presented': [[approved], NOW, 'approved'],
    'an approval that is over stands for nothing': [[approved], NOW + HOUR, 'none'],
    'a rejected one refuses the same': [[rejected], NOW + HOUR - 1, 'rejected'],
    'a rejected one refuses the same until its time is over': [[rejected], NOW + HOUR, 'none'],
    'a spent one stands for nothing more': [[consumed], NOW, 'none'],
    'an expired one stands for nothing': [[challenge({ state: 'expired' })], NOW, 'none'],
    'a rejection counts before an approval': [[approved, rejected, challenge()], NOW, 'rejected'],
    'an approval counts before a question': [[challenge(), approved], NOW, 'approved'],
  };
  it.each(Object.entries(rows))('%s', (_what, [challenges, now, type]) => {
    expect(findStanding(challenges, challenge().binding, SESSION, now).type).toBe(type);
  });

  it('tells which one stands', () => {
    const others = challenge({ id: 'other', binding: OTHER });
    expect(findStanding([others, challenge()], challenge().binding, SESSION, NOW)).toEqual({
      type: 'pending',
      challenge: challenge(),
    });
  });

  it('lets another act be asked for after a rejection', () => {
    expect(findStanding([rejected], OTHER, SESSION, NOW + 1000)).toEqual({ type: 'none' });
  });
});

const pendings = (count: number, said: Partial<Challenge> = {}) =>
  Array.from({ length: count }, (_, index) => challenge({ id: `${index}`, binding: `act ${index}`, ...said }));

describe('questions of one session', () => {
  it('are five at once', () => {
    expect(findStanding(pendings(MAX_PENDING - 1), OTHER, SESSION, NOW).type).toBe('none');
    expect(findStanding(pendings(MAX_PENDING), OTHER, SESSION, NOW)).toEqual({
      type: 'limited',
      reason: 'too_many_pending',
      retryAfterSeconds: 300,
    });
    expect(findStanding(pendings(MAX_PENDING), OTHER, SESSION, NOW + HOUR - 2500)).toMatchObject({
      retryAfterSeconds: 3,
    });
  });

  it('are shared all the same when they are five', () => {
    expect(findStanding(pendings(MAX_PENDING), 'act 3', SESSION, NOW)).toMatchObject({
      type: 'pending',
      challenge: { id: '3' },
    });
  });

  const free: Readonly<Record<string, Partial<Challenge>>> = {
    'that are over': { expiresAt: SECONDS },
    'that were approved': { state: 'approved', decision: decidedAt(true, NOW) },
    'that were spent': { state: 'consumed', spent: { at: NOW, record: permitAt(NOW) } },
    'of another agent session': { agentSessionID: 'agent-2' },
  };
  it.each(Object.entries(free))('%s do not count', (_what, said) => {
    expect(findStanding(pendings(MAX_PENDING, said), OTHER, SESSION, NOW).type).toBe('none');
  });

  it('count by login where there is no agent session', () => {
    const own = pendings(MAX_PENDING).map(({ agentSessionID: _agent, ...rest }) => rest);
    expect(findStanding(own, OTHER, { sid: 'sid' }, NOW).type).toBe('limited');
    expect(findStanding(own, OTHER, { sid: 'another' }, NOW).type).toBe('none');
    expect(findStanding(own, OTHER, SESSION, NOW).type).toBe('none');
    expect(findStanding(pendings(MAX_PENDING), OTHER, { sid: 'sid' }, NOW).type).toBe('none');
  });
});

describe('after rejections', () => {
  const rejections = (count: number, said: Partial<Challenge> = {}) =>
    Array.from({ length: count }, (_, index) =>
      challenge({
        id: `${index}`,
        binding: `act ${index}`,
        state: 'rejected',
        decision: decidedAt(false, NOW - index),
        ...said,
      }),
    );

  const waits = [
    [1, 1],
    [2, 2],
    [3, 4],
    [4, 8],
    [9, 256],
    [10, 300],
    [200, 300],
  ] as const;
  it.each(waits)('after %i of them the next question waits %i s from the last', (count, seconds) => {
    const standing = findStanding(rejections(count), OTHER, SESSION, NOW);
    expect(standing).toEqual({ type: 'limited', reason: 'backing_off', retryAfterSeconds: seconds });
    expect(findStanding(rejections(count), OTHER, SESSION, NOW + seconds * 1000 - 1)).toMatchObject({
      retryAfterSeconds: 1,
    });
    expect(findStanding(rejections(count), OTHER, SESSION, NOW + seconds * 1000).type).toBe('none');
  });

  it('another session does not wait', () => {
    expect(findStanding(rejections(9), OTHER, { ...SESSION, agentSessionID: 'agent-2' }, NOW).type).toBe('none');
  });

  it('what already stands is shared meanwhile', () => {
    expect(findStanding([...rejections(9), challenge()], challenge().binding, SESSION, NOW).type).toBe('pending');
  });

  it('they count for five minutes at least, however short policy made them', () => {
    const short = rejections(9, { expiresAt: SECONDS + 1 });
    expect(findStanding(short, OTHER, SESSION, NOW + 200_000).type).toBe('limited');
    expect(findStanding(short, OTHER, SESSION, NOW + 300_000).type).toBe('none');
  });
});

describe('keepUntil', () => {
  const rows: Readonly<Record<string, readonly [Challenge, number]>> = {
    'a pending one until its time is over': [challenge(), SECONDS + 3600],
    'a spent one while its reply may be asked for': [
      challenge({ expiresAt: SECONDS, state: 'consumed', spent: { at: NOW + 1, record: permitAt(NOW) } }),
      SECONDS + 121,
    ],
    'a rejected one while it slows others down': [{ ...rejected, expiresAt: SECONDS }, SECONDS + 300],
    'a rejected one while it refuses the same': [rejected, SECONDS + 3600],
  };
  it.each(Object.entries(rows))('%s', (_what, [one, until]) => {
    expect(keepUntil(one)).toBe(until);
  });
});
