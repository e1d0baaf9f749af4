-- The database of a study as version 1 of the tables wrote it: three cases, drafts, a closing taken back, a review.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE annotation (
	id INTEGER NOT NULL, 
	case_id INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	path VARCHAR(400) NOT NULL, 
	drawn VARCHAR(400), 
	closing VARCHAR(20) NOT NULL, 
	origin VARCHAR(20) NOT NULL, 
	author VARCHAR(200) NOT NULL, 
	created DATETIME NOT NULL, 
	seconds DOUBLE NOT NULL, 
	voxels_changed INTEGER NOT NULL, 
	prediction_id INTEGER, 
	withdrawn DATETIME, 
	touched JSON NOT NULL, 
	class_voxels JSON NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT uq_annotation_case_revision UNIQUE (case_id, revision), 
	FOREIGN KEY(case_id) REFERENCES study_case (id), 
	FOREIGN KEY(prediction_id) REFERENCES prediction (id)
);
INSERT INTO "annotation" VALUES(1,1,1,'cases/p0/annotations/r0001.nii.gz',NULL,'draft','painted','ann','2026-11-21 10:54:50.281929',1.0,32,NULL,NULL,'[]','{"1": 32}');
INSERT INTO "annotation" VALUES(2,1,2,'cases/p0/annotations/r0002.nii.gz',NULL,'complete','painted','ann','2026-11-21 10:54:50.310384',1.0,32,NULL,'2026-11-21 10:54:50.325138','[]','{"2": 32}');
INSERT INTO "annotation" VALUES(3,1,3,'cases/p0/annotations/r0002.nii.gz',NULL,'draft','painted','ann','2026-11-21 10:54:50.325138',0.0,0,NULL,NULL,'[]','{"2": 32}');
INSERT INTO "annotation" VALUES(4,2,1,'cases/p1/annotations/r0001.nii.gz','cases/p1/annotations/r0001.drawn.nii.gz','partial','painted','ann','2026-11-21 10:54:50.338318',1.0,32,NULL,NULL,'[2, 3]','{"1": 32, "255": 480}');
CREATE TABLE champion (
	id INTEGER NOT NULL, 
	run_id VARCHAR(120) NOT NULL, 
	since DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run_id) REFERENCES run (id)
);
INSERT INTO "champion" VALUES(1,'20261001-mean-teacher','2026-11-21 10:54:50.416064');
CREATE TABLE decision (
	id INTEGER NOT NULL, 
	case_id INTEGER NOT NULL, 
	prediction_id INTEGER NOT NULL, 
	box JSON NOT NULL, 
	verdict VARCHAR(20) NOT NULL, 
	voxels INTEGER NOT NULL, 
	author VARCHAR(200) NOT NULL, 
	created DATETIME NOT NULL, 
	undone DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(case_id) REFERENCES study_case (id), 
	FOREIGN KEY(prediction_id) REFERENCES prediction (id)
);
INSERT INTO "decision" VALUES(1,3,1,'[[2, 4, 3], [4, 8, 7]]','accept',32,'ann','2026-11-21 10:54:50.421649',NULL);
CREATE TABLE effort (
	id INTEGER NOT NULL, 
	case_id INTEGER NOT NULL, 
	seconds DOUBLE NOT NULL, 
	activity VARCHAR(40) NOT NULL, 
	created DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(case_id) REFERENCES study_case (id)
);
INSERT INTO "effort" VALUES(1,1,1.0,'annotate','2026-11-21 10:54:50.299087');
INSERT INTO "effort" VALUES(2,1,1.0,'annotate','2026-11-21 10:54:50.320611');
INSERT INTO "effort" VALUES(3,2,1.0,'annotate','2026-11-21 10:54:50.363090');
INSERT INTO "effort" VALUES(4,3,12.5,'review','2026-11-21 10:54:50.435763');
CREATE TABLE image (
	id INTEGER NOT NULL, 
	case_id INTEGER NOT NULL, 
	modality VARCHAR(64) NOT NULL, 
	path VARCHAR(400) NOT NULL, 
	resampled_mm DOUBLE NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT uq_image_case_modality UNIQUE (case_id, modality), 
	FOREIGN KEY(case_id) REFERENCES study_case (id)
);
INSERT INTO "image" VALUES(1,1,'DWI','cases/p0/images/DWI.nii.gz',0.0);
INSERT INTO "image" VALUES(2,2,'DWI','cases/p1/images/DWI.nii.gz',0.0);
INSERT INTO "image" VALUES(3,3,'DWI','cases/p2/images/DWI.nii.gz',0.0);
CREATE TABLE prediction (
	id INTEGER NOT NULL, 
	case_id INTEGER NOT NULL, 
	run VARCHAR(120) NOT NULL, 
	labels VARCHAR(400) NOT NULL, 
	confidence VARCHAR(400) NOT NULL, 
	created DATETIME NOT NULL, 
	mean_confidence DOUBLE, 
	stamp VARCHAR(40) NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT uq_prediction_case_run UNIQUE (case_id, run), 
	FOREIGN KEY(case_id) REFERENCES study_case (id)
);
INSERT INTO "prediction" VALUES(1,3,'20261001-mean-teacher','cases/p2/predictions/20261001-mean-teacher.labels.nii.gz','cases/p2/predictions/20261001-mean-teacher.confidence.nii.gz','2026-11-21 08:00:00.000000',8.00000071525573730468e-01,'1795258490390900760');
CREATE TABLE run (
	id VARCHAR(120) NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	method VARCHAR(120) NOT NULL, 
	preset VARCHAR(120) NOT NULL, 
	created DATETIME NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "run" VALUES('20261001-mean-teacher','train','mean-teacher','laptop','2026-11-21 10:54:50.406895');
CREATE TABLE study_case (
	id INTEGER NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	slug VARCHAR(100) NOT NULL, 
	role VARCHAR(20) NOT NULL, 
	grid JSON NOT NULL, 
	source_grid JSON NOT NULL, 
	content_key VARCHAR(64) NOT NULL, 
	thumbnail VARCHAR(400), 
	added DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name), 
	UNIQUE (slug)
);
INSERT INTO "study_case" VALUES(1,'p0','p0','training','{"shape": [10, 12, 6], "affine": [[-2.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0], [0.0, 0.0, 0.0, 1.0]]}','{"shape": [10, 12, 6], "affine": [[-2.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0], [0.0, 0.0, 0.0, 1.0]]}','afbc29e89c29bc2eb1fba01f190bcde2','cases/p0/thumbnail.png','2026-11-21 10:54:50.175180');
INSERT INTO "study_case" VALUES(2,'p1','p1','training','{"shape": [10, 12, 6], "affine": [[-2.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0], [0.0, 0.0, 0.0, 1.0]]}','{"shape": [10, 12, 6], "affine": [[-2.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0], [0.0, 0.0, 0.0, 1.0]]}','26a76e47fe9760208a7ece414574d886','cases/p1/thumbnail.png','2026-11-21 10:54:50.215443');
INSERT INTO "study_case" VALUES(3,'p2','p2','training','{"shape": [10, 12, 6], "affine": [[-2.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0], [0.0, 0.0, 0.0, 1.0]]}','{"shape": [10, 12, 6], "affine": [[-2.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0], [0.0, 0.0, 0.0, 1.0]]}','3128e70f9a7af6ef3a071571b346b790','cases/p2/thumbnail.png','2026-11-21 10:54:50.263149');
CREATE INDEX ix_image_case_id ON image (case_id);
CREATE INDEX ix_annotation_case_id ON annotation (case_id);
CREATE INDEX ix_prediction_case_id ON prediction (case_id);
CREATE INDEX ix_effort_case_id ON effort (case_id);
CREATE INDEX ix_decision_case_prediction ON decision (case_id, prediction_id);
COMMIT;
