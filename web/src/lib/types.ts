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

/** The document can't say that parameters are anything. */
type Told<T> = Omit<T, 'parameters'> & { parameters?: Record<string, unknown> };

export type Page<T> = { items: T[]; next_cursor: string | null };

export type Permission = Schemas['Permission'];
export type Role = Schemas['Role'];
/** `permissions` comes only with who is logged in. */
export type User = Whole<Schemas['User']> & { permissions?: Permission[] };
export type Session = Whole<Schemas['Session']>;
/** What a bucket takes and keeps; null where there is no limit. */
export type BucketRules = Whole<Schemas['BucketLimits']>;
export type Bucket = Whole<Schemas['Bucket']>;
export type BucketRole = Schemas['BucketRole'];
export type BucketMember = Whole<Schemas['BucketMember']>;
/** Somebody who could become a member. */
export type BucketPerson = Whole<Schemas['BucketPerson']>;
export type Folder = Whole<Schemas['Folder']>;
/** What can be done with a folder. */
export type FolderDeed = 'rename' | 'move' | 'delete' | 'new';
export type Media = Whole<Schemas['Media']>;
export type Tag = Whole<Schemas['Tag']>;
export type BulkAction = Schemas['BulkAction'];
type Failed = { id: string; problem: Problem };
/** `job_id` where it is too much for one answer; else what was done, and `more` where more failed than are named. */
export type BulkAnswer = Partial<Schemas['Accepted'] & Omit<Schemas['BulkOutcome'], 'failed'> & { failed: Failed[] }>;
/** How far a bulk action has come that a job does. */
export type BulkRun = Omit<Whole<Schemas['BulkRun']>, 'failed'> & { failed: Failed[] };
/** What somebody has stored, and may. */
export type UserStorage = Whole<Schemas['UserStorage']>;
export type DuplicateGroup = Whole<Schemas['Group']>;
export type SignedUrl = Whole<Schemas['SignedUrlView']>;
export type DeliveryPreset = Whole<Schemas['DeliveryPreset']>;
export type Token = Whole<Schemas['ApiToken']>;
/** A token with whose it is, for those who manage people. */
export type OwnedToken = Token & { user: Whole<Schemas['TokenOwner']> };
export type MetadataItem = Whole<Schemas['Fact']>;

export type StepReport = Omit<Whole<Schemas['StepReport']>, 'evidence'> & Pick<Schemas['StepReport'], 'evidence'>;
/** What another program told about a picture that it made. */
export type MadeElsewhere = { model: string | null; parameters: unknown; by: string | null };
export type Provenance = { engine: string; preset: string | null; steps: StepReport[]; made_elsewhere?: MadeElsewhere };
export type Rendition = Omit<Whole<Schemas['Rendition']>, 'provenance'> & { provenance: Provenance };
export type StepChoice = Whole<Schemas['StepRequest']>;
/** What a picture seems to need. */
export type Suggestion = Whole<Schemas['Suggestion']>;
export type Restoration = Omit<Whole<Schemas['Restoration']>, 'report'> & { report: StepReport[] };

export type Batch = Whole<Schemas['Batch']>;
export type BatchItem = Whole<Schemas['BatchItem']>;
export type BatchEstimate = Whole<Schemas['BatchEstimate']>;

/** A step of a preset as it is kept, or the name of another preset that takes its place. */
export type PresetStep = Partial<Told<Schemas['PresetStep']>>;
export type Preset = Omit<Schemas['PresetInfo'], 'steps'> & { steps: PresetStep[] };
export type AskedStep = Told<Schemas['AskedStep']>;
/** Where to begin instead of at the original: the picture that was kept before a step. */
export type Start = Schemas['RestorationFrom'];
export type RestorationBody = Partial<Omit<Schemas['RestorationRequest'], 'steps'>> & { steps?: AskedStep[] };
/** A step that was done, and whether the picture after it is kept. */
export type KeptStep = Whole<Schemas['RestorationStep']>;
export type ModelStep = Whole<Schemas['StepInfo']>;
export type Model = Whole<Schemas['Model']>;
/** What an admin writes about a model. */
export type ModelSettings = Told<Schemas['ModelSettings']>;
/** What a model wants to know. */
export type Form = Omit<Schemas['Form'], 'fields'> & { fields: Field[] };
export type Field = Omit<Schemas['Field'], 'default' | 'choices'> & { default?: unknown; choices?: unknown[] };

/** A certificate and how its renewal is doing. */
export type Certificate = Whole<Schemas['CertificateStatus']> & { is_trying: boolean };
export type JobState = Schemas['JobState'];
export type Job = Whole<Schemas['Job']>;
export type AuditEntry = Omit<Whole<Schemas['AuditEntry']>, 'details'> & { details: Record<string, unknown> | null };
export type Dashboard = Whole<Schemas['Dashboard']>;

export type FieldProblem = Schemas['FieldError'];
/** RFC 9457; a proxy's may have less than ours. */
export type Problem = Pick<Schemas['Problem'], 'type' | 'title' | 'status'> & Partial<Schemas['Problem']>;
export type UploadAnswer = { items: Media[]; problems: { name: string; problem: Problem }[] };
/** A large file that was begun and not finished. */
export type Unfinished = Whole<Schemas['UploadInfo']>;
