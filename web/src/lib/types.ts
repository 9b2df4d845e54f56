/**
 * The wire types, as the API's document describes them. `npm run api` writes `api.d.ts` from that document; this file
 * gives its schemas the short names which the pages use.
 */
import type { components } from './api';

type Schemas = components['schemas'];

/** Answers have every member; where there is nothing it is null. */
type Whole<T> = T extends (infer U)[]
  ? Whole<U>[]
  : T extends object
    ? { [K in keyof T]-?: Whole<Exclude<T[K], undefined>> }
    : T;

export type Page<T> = { items: T[]; next_cursor: string | null };

export type Permission = Schemas['Permission'];
export type Role = Schemas['Role'];
/** `permissions` comes only with who is logged in. */
export type User = Whole<Schemas['User']> & { permissions?: Permission[] };
export type Session = Whole<Schemas['Session']>;
/** What a bucket takes and keeps; null where there is no limit. */
export type BucketRules = {
  /** Media types or kinds, such as `image/*`; empty for all. */
  allowed_types: string[];
  max_upload_bytes: number | null;
  quota_bytes: number | null;
  /** Days after which a file goes to the trash. */
  expire_days: number | null;
  /** Versions that a file keeps, the current one included. */
  keep_versions: number | null;
};
export type Bucket = Whole<Schemas['Bucket']> & BucketRules;
export type Folder = Whole<Schemas['Folder']>;
export type Media = Whole<Schemas['Media']> & {
  description: string;
  /** The caller's own mark. */
  favourite: boolean;
  tags: string[];
  camera: string | null;
};
export type Tag = { name: string; count: number };
export type BulkAction = 'trash' | 'untrash' | 'purge' | 'move' | 'copy' | 'tag' | 'untag' | 'favourite' | 'unfavourite';
/** `job_id` where it is too much for one answer; else what was done, and `more` where more failed than are named. */
export type BulkAnswer = { job_id?: string; done?: number; failed?: { id: string; problem: Problem }[]; more?: boolean };
/** How far a bulk action has come that a job does. */
export type BulkRun = { job_id: string; state: JobState | null; total: number; done: number; failed_count: number; failed: { id: string; problem: Problem }[] };
/** What somebody has stored, and may. */
export type UserStorage = { size_bytes: number; quota_bytes: number | null };
export type DuplicateGroup = { key: string; kind: 'exact' | 'similar'; distance: number; items: Media[] };
export type SignedUrl = { url: string; expires_at: string };
export type DeliveryPreset = { name: string; transform: string; builtin: boolean };
export type Token = { id: string; name: string; prefix: string; scopes: Permission[]; expires_at: string | null; last_used_at: string | null; created_at: string };
export type MetadataItem = Whole<Schemas['Fact']>;

export type StepReport = Omit<Whole<Schemas['StepReport']>, 'evidence'> & Pick<Schemas['StepReport'], 'evidence'>;
export type Provenance = { engine: string; preset: string | null; steps: StepReport[] };
export type Rendition = Omit<Whole<Schemas['Rendition']>, 'provenance'> & { provenance: Provenance };
export type StepChoice = Whole<Schemas['StepRequest']>;
export type Restoration = Omit<Whole<Schemas['Restoration']>, 'report'> & { report: StepReport[] };

export type Preset = Whole<Schemas['PresetInfo']>;
export type ModelStep = Whole<Schemas['StepInfo']>;
export type Model = Whole<Schemas['Model']>;

export type JobState = Schemas['JobState'];
export type Job = Whole<Schemas['Job']>;
export type AuditEntry = Omit<Whole<Schemas['AuditEntry']>, 'details'> & { details: Record<string, unknown> | null };
export type Dashboard = Whole<Schemas['Dashboard']>;

export type FieldProblem = Schemas['FieldError'];
/** RFC 9457; a proxy's may have less than ours. */
export type Problem = Pick<Schemas['Problem'], 'type' | 'title' | 'status'> & Partial<Schemas['Problem']>;
export type UploadAnswer = { items: Media[]; problems: { name: string; problem: Problem }[] };
/** A large file that was begun and not finished. */
export type Unfinished = {
  id: string;
  filename: string;
  bucket: string | null;
  folder: string;
  modified_at: string | null;
  length: number | null;
  offset: number;
  expires_at: string;
  active: boolean;
  state: 'receiving' | 'finishing' | 'done' | 'failed';
};
