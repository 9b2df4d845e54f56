import type { FieldProblem, Problem } from './types';

/** What went wrong with a request, ready to be acted on (`code`) and to be shown (`message`). */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    readonly status: number,
    message: string,
    readonly fields: FieldProblem[] = [],
    /** Seconds after which another try makes sense. */
    readonly retryAfter: number | null = null,
    readonly requestId: string | null = null,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** Sentences for the codes that people meet. Any other code shows the server's own `detail`. */
const sentences: Record<string, string> = {
  unreachable: 'Safelight can’t be reached. Check that it is running and that you are connected.',
  'not-signed-in': 'Your session has ended. Please sign in again.',
  forbidden: 'Your account isn’t allowed to do this.',
  'wrong-credentials': 'That e-mail address and password don’t belong together.',
  'last-owner': 'This is the only owner left. Make somebody else an owner first.',
  'bucket-not-empty': 'This bucket still holds files. Empty it and its trash first.',
  'too-large': 'This file is larger than this server takes.',
  'disk-full': 'The server’s disk is full. Nothing was stored.',
  'upload-stalled': 'The connection was too slow and the upload stopped.',
  'name-taken': 'Something with this name is there already.',
  'not-a-picture': 'Safelight can’t read this file as a picture.',
};

function byStatus(status: number): string {
  if (status === 404) return 'This isn’t here. It may have been deleted.';
  if (status === 413) return sentences['too-large']!;
  if (status === 503) return 'Safelight is starting or stopping. Please try again in a moment.';
  if (status >= 500) return 'Something went wrong on the server. It isn’t your fault; please try again.';
  return 'That didn’t work. Please try again.';
}

/** Turns a problem document into an error with a sentence for people. `retryAfter` is the header's text. */
export function errorOf(status: number, body: unknown, retryAfter: string | null = null): ApiError {
  const problem = (typeof body === 'object' && body !== null ? body : {}) as Partial<Problem>;
  const code = problem.type?.split('/').pop() || `http-${status}`;
  const seconds = retryAfter && /^\d+$/.test(retryAfter) ? Number(retryAfter) : null;
  const message = sentences[code] ?? problem.detail ?? (status < 500 && problem.title ? problem.title : byStatus(status));
  return new ApiError(code, status, message, problem.errors ?? [], seconds, problem.request_id ?? null);
}

export const unreachable = () => new ApiError('unreachable', 0, sentences.unreachable!);

/** The sentence to show for anything that was thrown. */
export function sentence(error: unknown): string {
  return error instanceof ApiError ? error.message : byStatus(500);
}
