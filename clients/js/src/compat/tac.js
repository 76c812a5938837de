'use client';

// The hook that the dashboards of tac-webbuilder use today, over this package: they run with only the import changed.
// It speaks to any path that sends JSON, including parlor's.

import { useEffect, useId, useMemo, useRef, useState } from 'react';
import { environment } from '../env.js';
import { useLatest } from '../react-client.js';
import { useSharedSocket } from '../react-reliable.js';

/** @typedef {'excellent' | 'good' | 'poor' | 'disconnected'} ConnectionQuality */
/**
 * @typedef {object} ConnectionState
 * @property {boolean} isConnected
 * @property {ConnectionQuality} connectionQuality by the age of the last message
 * @property {Date | null} lastUpdated when it was opened, when the last message came, or the last answer
 * @property {number} reconnectAttempts in a row
 */
/**
 * @template T, M
 * @typedef {object} ReliableWebSocketOptions
 * @property {string} url
 * @property {readonly unknown[]} queryKey whenever it is another, the query is asked
 * @property {() => T | Promise<T>} queryFn asked when it begins, and while the socket does not work
 * @property {(data: M) => void} onMessage called with each message, once and in order, and with what the query says
 * @property {boolean} [enabled]
 * @property {number} [pollingInterval] how often the query is asked while the socket does not work, in ms; 60000
 * @property {number} [maxReconnectDelay] in ms; 30000
 * @property {number} [maxReconnectAttempts] in a row; it never gives up, if not told otherwise. Where it has, the network that is back or the page that is seen again begins anew
 */

const POLLING_MS = 60_000;
const QUALITY_MS = 5_000;
/** Another server's codes say nothing of parlor's: it comes back after each. */
const NEVER = () => false;
/** @type {readonly (readonly [number, ConnectionQuality])[]} up to which age, in ms */
const QUALITIES = [[5_000, 'excellent'], [15_000, 'good'], [30_000, 'poor']];

/**
 * A WebSocket that comes back, and a query for what is there before it works, and while it does not.
 * @template T what the query says
 * @template [M=any] what the messages are
 * @param {ReliableWebSocketOptions<T, M>} options
 * @returns {ConnectionState}
 */
export function useReliableWebSocket({ url, queryKey, queryFn, onMessage, enabled = true, pollingInterval = POLLING_MS, maxReconnectDelay, maxReconnectAttempts }) {
  const { shared, snapshot } = useSharedSocket({ url, enabled, maxReconnectDelay, maxReconnectAttempts, fatal: NEVER, own: useId(), onMessage });
  const { state, attempt, lastMessageAt } = snapshot;
  const isConnected = state.name === 'online';
  const answeredAt = useQuery({ queryKey, queryFn, onAnswer: /** @type {(answer: any) => void} */ (onMessage), enabled, isConnected, pollingInterval, heardAt: () => shared?.socket?.snapshot().lastMessageAt ?? 0 });
  const openedAt = state.name === 'online' ? state.since : null;
  const connectionQuality = useQualityByAge(Math.max(openedAt ?? 0, lastMessageAt ?? 0), isConnected);
  const updatedAt = Math.max(openedAt ?? 0, lastMessageAt ?? 0, answeredAt);
  return useMemo(() => ({
    isConnected, connectionQuality, lastUpdated: updatedAt > 0 ? new Date(updatedAt) : null, reconnectAttempts: attempt,
  }), [isConnected, connectionQuality, updatedAt, attempt]);
}

/**
 * Asks when it begins, and again and again while the socket does not work; not while nobody sees the page.
 * @param {{ queryKey: readonly unknown[], queryFn: () => any, onAnswer: (answer: any) => void, enabled: boolean, isConnected: boolean, pollingInterval: number,
 *   heardAt: () => number }} options
 * @returns {number} when the last answer came, in ms since 1970; 0 if none has
 */
function useQuery({ queryKey, queryFn, onAnswer, enabled, isConnected, pollingInterval, heardAt }) {
  const [answeredAt, setAnsweredAt] = useState(0);
  const latest = useLatest({ queryFn, onAnswer, isConnected, heardAt });
  /** What is under way from the beginning: StrictMode begins twice. */
  const first = useRef(/** @type {{ key: string, at: number, answer: Promise<any> } | null} */ (null));
  const key = JSON.stringify(queryKey);
  useEffect(() => {
    if (!enabled) return undefined;
    let isOver = false;
    /** @param {{ at: number, answer: Promise<any> }} asked */
    const take = async ({ at, answer }) => {
      /** @type {any} */
      let said;
      try {
        said = await answer;
      } catch {
        // The request is repeated as long as it is needed.
        return;
      }
      // Data received by the socket meanwhile is newer.
      if (isOver || latest.current.heardAt() >= at) return;
      try {
        latest.current.onAnswer(said);
      } catch (error) {
        environment().report(error);
      }
      setAnsweredAt(Date.now());
    };
    const ask = () => ({ key, at: Date.now(), answer: Promise.resolve().then(() => latest.current.queryFn()) });
    if (first.current?.key !== key) {
      const own = ask();
      first.current = own;
      const isAnswered = () => first.current === own && (first.current = null);
      own.answer.then(isAnswered, isAnswered);
    }
    void take(first.current);
    const timer = setInterval(() => {
      if (!latest.current.isConnected && document.visibilityState !== 'hidden') void take(ask());
    }, pollingInterval);
    return () => {
      isOver = true;
      clearInterval(timer);
    };
  }, [enabled, key, pollingInterval, latest]);
  return answeredAt;
}

/** @param {number} heardAt @param {boolean} isConnected @returns {ConnectionQuality} */
function useQualityByAge(heardAt, isConnected) {
  const judge = () => (isConnected && QUALITIES.find(([age]) => Date.now() - heardAt < age)?.[1]) || 'disconnected';
  const [, judgeAgain] = useState(/** @type {ConnectionQuality} */ ('disconnected'));
  const latest = useLatest(judge);
  useEffect(() => {
    const timer = setInterval(() => judgeAgain(latest.current()), QUALITY_MS);
    return () => clearInterval(timer);
  }, [latest]);
  return judge();
}

export default useReliableWebSocket;
