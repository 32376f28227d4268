BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'tvm-farm','m001_first','2026-11-21 13:19:01.760031+00:00');
CREATE TABLE devices (
        id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, device_class TEXT NOT NULL, target TEXT NOT NULL,
        last_heard REAL NOT NULL, measured INTEGER NOT NULL, value TEXT NOT NULL);
CREATE TABLE jobs (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, request_id TEXT UNIQUE, state TEXT NOT NULL,
        kind TEXT NOT NULL, model_name TEXT NOT NULL, model_digest TEXT NOT NULL, pool TEXT NOT NULL,
        engine TEXT NOT NULL, user TEXT NOT NULL, spec TEXT NOT NULL, phase TEXT NOT NULL, error TEXT NOT NULL,
        input_error INTEGER NOT NULL, created REAL NOT NULL, started REAL NOT NULL, finished REAL NOT NULL,
        tuned_for_s REAL NOT NULL, target TEXT NOT NULL, device_class TEXT NOT NULL, worker_id TEXT NOT NULL,
        result TEXT, trials INTEGER NOT NULL DEFAULT 0, losses INTEGER NOT NULL DEFAULT 0,
        trials_at_loss INTEGER NOT NULL DEFAULT 0);
INSERT INTO "jobs" VALUES(1,'net-1','request-1','queued','tune','net','abababababababababababababababababababababababababababababababab','x86_64','ansor','ada','{"kind":"tune","model_name":"net","model":{"digest":"abababababababababababababababababababababababababababababababab","size":100},"pool":"x86_64","engine":"ansor","max_trials":64,"budget_s":0.0,"shapes":[{"name":"x","dims":[1,3,224,224]}],"seed":0,"user":"ada","plan":{"number":2,"repeat":1,"min_repeat_ms":0,"cooldown_ms":0,"repeats_to_cooldown":1,"cache_flush_bytes":0}}','','',0,1.0,0.0,0.0,0.0,'','','',NULL,4,0,0);
CREATE TABLE pools (name TEXT PRIMARY KEY, selector TEXT NOT NULL);
CREATE TABLE records (
        number INTEGER PRIMARY KEY, trial_id TEXT NOT NULL UNIQUE, job_id TEXT REFERENCES jobs (id),
        task_id TEXT NOT NULL, workload TEXT NOT NULL, workload_name TEXT NOT NULL, target TEXT NOT NULL,
        device_class TEXT NOT NULL, device_id TEXT NOT NULL, device_name TEXT NOT NULL, runner_mode TEXT,
        engine TEXT NOT NULL, user TEXT NOT NULL, outcome TEXT NOT NULL, detail TEXT NOT NULL, signal INTEGER NOT NULL,
        median_s REAL, min_s REAL, run_secs TEXT NOT NULL, trace TEXT NOT NULL, plan TEXT NOT NULL,
        versions TEXT NOT NULL, before TEXT, after TEXT,
        proposed_s REAL NOT NULL, built_s REAL NOT NULL, queued_s REAL NOT NULL, sent_s REAL NOT NULL,
        started_s REAL NOT NULL, finished_s REAL NOT NULL, stored_s REAL NOT NULL);
INSERT INTO "records" VALUES(1,'u1','net-1','net-1/0','w0','fused_conv2d_relu','{"kind":"llvm"}','pi4','d1','pi-1','full','untuned','ada','ok','',0,0.2,0.1,'[0.3, 0.1, 0.2]','','{"number":1,"repeat":3,"min_repeat_ms":0,"cooldown_ms":0,"repeats_to_cooldown":1,"cache_flush_bytes":0}','{"tvm": "0.27"}','{"at_unix_s":10.0,"temperature_c":41.5,"frequency_khz":[1500000],"throttling":["under-voltage"],"load_1m":0.5,"memory_available_bytes":null,"cpu_percent":12.5}',NULL,1.0,2.0,3.0,4.0,5.0,6.0,7.0);
INSERT INTO "records" VALUES(2,'t1','net-1','net-1/0','w0','fused_conv2d_relu','{"kind":"llvm"}','pi4','d1','pi-1','full','ansor','ada','ok','',0,0.2,0.1,'[0.3, 0.1, 0.2]','[[["GetSBlock",[],["main","main"],["b0"]],["SamplePerfectTile",["l1"],[4,64],["v1","v2","v3","v4"]]],[[1,[1,1,8,64]]]]','{"number":1,"repeat":3,"min_repeat_ms":0,"cooldown_ms":0,"repeats_to_cooldown":1,"cache_flush_bytes":0}','{"tvm": "0.27"}','{"at_unix_s":10.0,"temperature_c":41.5,"frequency_khz":[1500000],"throttling":["under-voltage"],"load_1m":0.5,"memory_available_bytes":null,"cpu_percent":12.5}',NULL,1.0,2.0,3.0,4.0,5.0,6.0,7.0);
INSERT INTO "records" VALUES(3,'t2','net-1','net-1/0','w0','fused_conv2d_relu','{"kind":"llvm"}','pi4','d1','pi-1','full','ansor','ada','ok','',0,0.09,0.05,'[0.2, 0.05, 0.09]','[[["GetSBlock",[],["main","main"],["b0"]],["SamplePerfectTile",["l1"],[4,64],["v1","v2","v3","v4"]]],[[1,[2,1,8,32]]]]','{"number":1,"repeat":3,"min_repeat_ms":0,"cooldown_ms":0,"repeats_to_cooldown":1,"cache_flush_bytes":0}','{"tvm": "0.27"}','{"at_unix_s":10.0,"temperature_c":41.5,"frequency_khz":[1500000],"throttling":["under-voltage"],"load_1m":0.5,"memory_available_bytes":null,"cpu_percent":12.5}',NULL,1.0,2.0,3.0,4.0,5.0,6.0,7.0);
INSERT INTO "records" VALUES(4,'t3','net-1','net-1/0','w0','fused_conv2d_relu','{"kind":"llvm"}','pi4','d1','pi-1','full','ansor','ada','crash','died of SIGSEGV',11,NULL,NULL,'[]','[[["GetSBlock",[],["main","main"],["b0"]],["SamplePerfectTile",["l1"],[4,64],["v1","v2","v3","v4"]]],[[1,[4,1,8,16]]]]','{"number":1,"repeat":3,"min_repeat_ms":0,"cooldown_ms":0,"repeats_to_cooldown":1,"cache_flush_bytes":0}','{"tvm": "0.27"}','{"at_unix_s":10.0,"temperature_c":41.5,"frequency_khz":[1500000],"throttling":["under-voltage"],"load_1m":0.5,"memory_available_bytes":null,"cpu_percent":12.5}',NULL,1.0,2.0,3.0,4.0,5.0,6.0,7.0);
INSERT INTO "records" VALUES(5,'t4','net-1','net-1/1','w1','fused_conv2d_relu','{"kind":"llvm"}','pi5','d2','pi-2','full','ansor','ada','ok','',0,0.4,0.4,'[0.4]','[[["GetSBlock",[],["main","main"],["b0"]],["SamplePerfectTile",["l1"],[4,64],["v1","v2","v3","v4"]]],[[1,[1,1,8,64]]]]','{"number":1,"repeat":3,"min_repeat_ms":0,"cooldown_ms":0,"repeats_to_cooldown":1,"cache_flush_bytes":0}','{"tvm": "0.27"}','{"at_unix_s":10.0,"temperature_c":41.5,"frequency_khz":[1500000],"throttling":["under-voltage"],"load_1m":0.5,"memory_available_bytes":null,"cpu_percent":12.5}',NULL,1.0,2.0,3.0,4.0,5.0,6.0,7.0);
INSERT INTO "records" VALUES(6,'t5',NULL,'','w0','fused_conv2d_relu','{"kind":"llvm"}','pi4','d1','pi-1',NULL,'ansor','ada','ok','',0,0.4,0.4,'[0.4]','[[["GetSBlock",[],["main","main"],["b0"]],["SamplePerfectTile",["l1"],[4,64],["v1","v2","v3","v4"]]],[[1,[2,1,8,32]]]]','{"number":1,"repeat":3,"min_repeat_ms":0,"cooldown_ms":0,"repeats_to_cooldown":1,"cache_flush_bytes":0}','{}','{"at_unix_s":10.0,"temperature_c":41.5,"frequency_khz":[1500000],"throttling":["under-voltage"],"load_1m":0.5,"memory_available_bytes":null,"cpu_percent":12.5}',NULL,1.0,2.0,3.0,4.0,5.0,6.0,7.0);
CREATE TABLE tasks (
        id TEXT PRIMARY KEY, job_id TEXT NOT NULL REFERENCES jobs (id), position INTEGER NOT NULL, name TEXT NOT NULL,
        workload TEXT NOT NULL REFERENCES workloads (key), weight INTEGER NOT NULL,
        trials INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, untuned_s REAL NOT NULL DEFAULT 0,
        best_s REAL NOT NULL DEFAULT 0);
INSERT INTO "tasks" VALUES('net-1/0','net-1',0,'task0','w0',1,3,1,0.2,0.09);
INSERT INTO "tasks" VALUES('net-1/1','net-1',1,'task1','w1',2,1,0,0.0,0.4);
CREATE TABLE workloads (
        key TEXT PRIMARY KEY, name TEXT NOT NULL, module TEXT NOT NULL, flops REAL NOT NULL);
INSERT INTO "workloads" VALUES('w0','task0','{}',2000000.0);
INSERT INTO "workloads" VALUES('w1','task1','{}',2000000.0);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX jobs_by_state ON jobs (state, number);
CREATE INDEX tasks_of_job ON tasks (job_id, position);
CREATE INDEX records_best ON records (workload, device_class, median_s) WHERE outcome = 'ok';
CREATE INDEX records_of_job ON records (job_id, number);
CREATE INDEX records_of_task ON records (task_id, number);
CREATE INDEX records_of_class ON records (device_class, number);
COMMIT;
PRAGMA user_version = 1;
