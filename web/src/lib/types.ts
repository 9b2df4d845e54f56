/**
 * The wire types, as the API's document describes them. `npm run api` writes `api.d.ts` from that document; this file
 * gives its schemas the short names which the pages use.
 */

export type Page<T> = { items: T[]; next_cursor: string | null };

export type Permission =
  | 'library.read'
  | 'library.write'
  | 'library.delete'
  | 'restore'
  | 'buckets.manage'
  | 'users.manage'
  | 'jobs.manage'
  | 'audit.read'
  | 'settings.manage';

export type Role = 'owner' | 'admin' | 'editor' | 'viewer';

export type User = {
  id: string;
  name: string;
  email: string;
  role: Role;
  disabled: boolean;
  created_at: string;
  last_login_at: string | null;
  permissions?: Permission[];
};

export type Session = {
  id: string;
  current: boolean;
  created_at: string;
  last_seen_at: string;
  expires_at: string;
  address: string | null;
  user_agent: string | null;
};

export type Bucket = {
  id: string;
  slug: string;
  name: string;
  visibility: 'private' | 'public';
  created_at: string;
  media_count: number;
  size_bytes: number;
};

export type Folder = { path: string; name: string; media_count: number };

export type Media = {
  id: string;
  bucket: string;
  key: string;
  folder: string;
  name: string;
  content_type: string;
  size_bytes: number;
  sha256: string;
  width: number | null;
  height: number | null;
  taken_at: string | null;
  state: 'pending' | 'ready' | 'quarantined' | 'trashed';
  created_at: string;
  updated_at: string;
  thumbhash: string | null;
  versions: number;
  renditions: number;
};

export type MetadataItem = { group: 'File' | 'Camera' | 'Place' | 'Picture'; name: string; value: string };

export type StepReport = {
  step: string;
  strength: number;
  engine: string;
  decision: 'applied' | 'skipped';
  reason: string;
  evidence: Record<string, number>;
  duration_ms: number;
};

export type Rendition = {
  id: string;
  media_id: string;
  version_id: string;
  restoration_id: string | null;
  name: string;
  content_type: string;
  size_bytes: number;
  width: number;
  height: number;
  created_at: string;
  created_by: string | null;
  ai_generated: boolean;
  provenance: { engine: string; preset: string | null; steps: StepReport[] };
};

export type StepChoice = { step: string; strength: number };

export type Restoration = {
  id: string;
  media_id: string;
  version_id: string;
  state: 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';
  progress: number;
  step: string | null;
  preset: string | null;
  steps: StepChoice[];
  outcome: 'restored' | 'unchanged' | null;
  rendition_id: string | null;
  report: StepReport[];
  error: { code: string; detail: string } | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  requested_by: string | null;
};

export type Preset = { name: string; title: string; description: string; steps: StepChoice[] };
export type ModelStep = { step: string; title: string; description: string; default_strength: number };
export type Model = { id: string; name: string; engine: string; steps: ModelStep[]; recreates: boolean };

export type JobState = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';
export type Job = {
  id: string;
  kind: string;
  state: JobState;
  attempts: number;
  max_attempts: number;
  priority: number;
  progress: number;
  error: string | null;
  run_at: string;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
};

export type AuditEntry = {
  id: string;
  at: string;
  actor: { id: string; name: string } | null;
  action: string;
  target_kind: string | null;
  target_id: string | null;
  target_name: string | null;
  address: string | null;
  door: 'web' | 'cli' | 'system';
  details: Record<string, unknown> | null;
};

export type Dashboard = {
  media_count: number;
  size_bytes: number;
  users: number;
  jobs: { queued: number; running: number; failed: number };
  disk: { free_bytes: number; total_bytes: number };
  version: string;
  uptime_s: number;
};

export type FieldProblem = { field: string; detail: string };
/** RFC 9457. */
export type Problem = {
  type: string;
  title: string;
  status: number;
  detail?: string;
  errors?: FieldProblem[];
  request_id?: string;
};

export type UploadAnswer = { items: Media[]; problems: { name: string; problem: Problem }[] };
