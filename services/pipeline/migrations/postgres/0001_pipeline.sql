-- The pipeline service's tables. Times are microseconds since 1970, truth values 0 and 1, amounts
-- whole units and nanos of a currency. What is sealed is named so; everything else is plain on
-- purpose. References to customers are record numbers as they were addressed and never change.

-- Which customer holds a record number now, out of the customer feed.
CREATE TABLE crosswalk (
    address BIGINT NOT NULL PRIMARY KEY,
    current BIGINT NOT NULL
);
CREATE INDEX crosswalk_current ON crosswalk (current);

-- Small facts: the database's id.
CREATE TABLE service_state (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

-- A sales process; `version` is its newest.
CREATE TABLE pipelines (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    uid BIGINT NOT NULL,
    display_name TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    archived BIGINT NOT NULL,
    stale_after BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);

-- The stages of one version as JSON; never changes.
CREATE TABLE pipeline_versions (
    pipeline TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    stages TEXT COLLATE "C" NOT NULL,
    creator TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (pipeline, version)
);

-- Leads. `sealed` holds name, phones, emails, title, interest, remark and comment under
-- `data_key`; both are null once erased. `state`: 1 new, 2 qualified, 3 converted, 4 disqualified.
CREATE TABLE leads (
    id BIGINT NOT NULL PRIMARY KEY,
    company TEXT COLLATE "C" NOT NULL,
    uscc TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    channel TEXT COLLATE "C" NOT NULL,
    campaign TEXT COLLATE "C" NOT NULL,
    touch_time BIGINT NOT NULL,
    source TEXT COLLATE "C",
    external_id TEXT COLLATE "C",
    state BIGINT NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    org_unit TEXT COLLATE "C" NOT NULL,
    assign_cause BIGINT NOT NULL,
    assign_rule TEXT COLLATE "C" NOT NULL,
    assign_time BIGINT NOT NULL,
    assign_actor TEXT COLLATE "C" NOT NULL,
    match_result BIGINT NOT NULL,
    customer BIGINT,
    candidates TEXT COLLATE "C" NOT NULL,
    opportunity BIGINT,
    reason TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    units BIGINT NOT NULL,
    nanos BIGINT NOT NULL,
    data_key BYTEA,
    sealed BYTEA,
    revision BIGINT NOT NULL,
    creator TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    state_time BIGINT NOT NULL,
    erase_time BIGINT
);
CREATE UNIQUE INDEX leads_foreign ON leads (source, external_id);
CREATE INDEX leads_customer ON leads (customer);
CREATE INDEX leads_owner ON leads (owner, state, id);
CREATE INDEX leads_state ON leads (state, id);
CREATE INDEX leads_update ON leads (update_time, id);

-- Who gets a lead. `rule` is JSON; `turn` counts what round robin gave out.
CREATE TABLE assignment_rules (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    priority BIGINT NOT NULL,
    rule TEXT COLLATE "C" NOT NULL,
    turn BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);

-- Opportunities. `outcome`: 1 open, 2 won, 3 lost. `reached` is the furthest stage it was in.
-- `stale_time` and `overdue_time` say from when on it is stale or overdue while open. `sealed`
-- holds description and comment.
CREATE TABLE opportunities (
    id BIGINT NOT NULL PRIMARY KEY,
    display_name TEXT COLLATE "C" NOT NULL,
    customer BIGINT NOT NULL,
    pipeline TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    stage TEXT COLLATE "C" NOT NULL,
    reached TEXT COLLATE "C" NOT NULL,
    outcome BIGINT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    units BIGINT NOT NULL,
    nanos BIGINT NOT NULL,
    close_date TEXT COLLATE "C" NOT NULL,
    line_items TEXT COLLATE "C" NOT NULL,
    contacts TEXT COLLATE "C" NOT NULL,
    checked TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    org_unit TEXT COLLATE "C" NOT NULL,
    lead BIGINT,
    channel TEXT COLLATE "C" NOT NULL,
    campaign TEXT COLLATE "C" NOT NULL,
    first_touch_time BIGINT,
    reason TEXT COLLATE "C" NOT NULL,
    outcome_time BIGINT,
    stage_time BIGINT NOT NULL,
    touch_time BIGINT NOT NULL,
    stale_time BIGINT NOT NULL,
    overdue_time BIGINT NOT NULL,
    transitions BIGINT NOT NULL,
    data_key BYTEA NOT NULL,
    sealed BYTEA NOT NULL,
    revision BIGINT NOT NULL,
    creator TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);
CREATE INDEX opportunities_customer ON opportunities (customer);
CREATE INDEX opportunities_stage ON opportunities (pipeline, outcome, stage, stage_time, id);
CREATE INDEX opportunities_owner ON opportunities (owner, outcome, id);
CREATE INDEX opportunities_lead ON opportunities (lead);
CREATE INDEX opportunities_update ON opportunities (update_time, id);
CREATE INDEX opportunities_close ON opportunities (close_date, id);
CREATE INDEX opportunities_won ON opportunities (outcome, outcome_time);
CREATE INDEX opportunities_stale ON opportunities (pipeline, outcome, stale_time, stage, owner, org_unit);
CREATE INDEX opportunities_overdue ON opportunities (pipeline, outcome, overdue_time, stage, owner, org_unit);

-- Every move, numbered within its opportunity. `cause` is sealed with the opportunity's key.
CREATE TABLE transitions (
    opportunity BIGINT NOT NULL,
    no BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    from_pipeline TEXT COLLATE "C" NOT NULL,
    pipeline TEXT COLLATE "C" NOT NULL,
    from_version BIGINT NOT NULL,
    to_version BIGINT NOT NULL,
    from_stage TEXT COLLATE "C" NOT NULL,
    to_stage TEXT COLLATE "C" NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    cause BYTEA,
    reason TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    units BIGINT NOT NULL,
    nanos BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    time BIGINT NOT NULL,
    PRIMARY KEY (opportunity, no)
);
CREATE INDEX transitions_revision ON transitions (opportunity, revision);

-- Sums over opportunities, kept by whoever changes one, so that a board costs few rows. `part` 1
-- counts by present stage and outcome, 2 by furthest stage (outcome 0).
CREATE TABLE funnel (
    pipeline TEXT COLLATE "C" NOT NULL,
    part BIGINT NOT NULL,
    outcome BIGINT NOT NULL,
    version BIGINT NOT NULL,
    stage TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    org_unit TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    count BIGINT NOT NULL,
    units BIGINT NOT NULL,
    nanos BIGINT NOT NULL,
    PRIMARY KEY (pipeline, part, outcome, version, stage, owner, org_unit, currency)
);

-- Activities as their newest version has them; the versions hold the content.
CREATE TABLE activities (
    id BIGINT NOT NULL PRIMARY KEY,
    kind BIGINT NOT NULL,
    customer BIGINT,
    opportunity BIGINT,
    lead BIGINT,
    time BIGINT NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    org_unit TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C",
    external_id TEXT COLLATE "C",
    version BIGINT NOT NULL,
    retracted BIGINT NOT NULL,
    data_key BYTEA NOT NULL
);
CREATE UNIQUE INDEX activities_foreign ON activities (source, external_id);
CREATE INDEX activities_customer ON activities (customer, time, id);
CREATE INDEX activities_opportunity ON activities (opportunity, time, id);
CREATE INDEX activities_lead ON activities (lead, time, id);
CREATE INDEX activities_time ON activities (time, id);
CREATE INDEX activities_owner ON activities (owner, time, id);

-- One version of an activity. `sealed` holds subject and text.
CREATE TABLE activity_versions (
    activity BIGINT NOT NULL,
    version BIGINT NOT NULL,
    time BIGINT NOT NULL,
    duration BIGINT NOT NULL,
    channel TEXT COLLATE "C" NOT NULL,
    inbound BIGINT NOT NULL,
    retracted BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    creator TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (activity, version)
);

-- Tasks. `base_time` is the due time of the first occurrence, from which the others are counted.
-- `sealed` holds subject, text and comment. `plan` counts how often the timers were planned.
CREATE TABLE tasks (
    id BIGINT NOT NULL PRIMARY KEY,
    kind BIGINT NOT NULL,
    priority BIGINT NOT NULL,
    state BIGINT NOT NULL,
    customer BIGINT,
    opportunity BIGINT,
    lead BIGINT,
    owner TEXT COLLATE "C" NOT NULL,
    org_unit TEXT COLLATE "C" NOT NULL,
    base_time BIGINT NOT NULL,
    due_time BIGINT NOT NULL,
    remind_before BIGINT NOT NULL,
    recurrence TEXT COLLATE "C",
    escalations TEXT COLLATE "C" NOT NULL,
    occurrence BIGINT NOT NULL,
    firings BIGINT NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    close_time BIGINT,
    origin TEXT COLLATE "C",
    data_key BYTEA NOT NULL,
    sealed BYTEA NOT NULL,
    revision BIGINT NOT NULL,
    creator TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);
CREATE UNIQUE INDEX tasks_origin ON tasks (origin);
CREATE INDEX tasks_inbox ON tasks (owner, state, due_time, id);
CREATE INDEX tasks_due ON tasks (due_time, id);
CREATE INDEX tasks_customer ON tasks (customer);
CREATE INDEX tasks_opportunity ON tasks (opportunity);
CREATE INDEX tasks_lead ON tasks (lead);

-- What is still to fire. `kind`: 1 reminder, 2 escalation, 3 recurrence of a task; 4 the time limit
-- of an opportunity's stage, whose transition is `occurrence`. A timer is deleted by whoever fires it.
CREATE TABLE timers (
    id BIGINT NOT NULL PRIMARY KEY,
    plan_time BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    subject BIGINT NOT NULL,
    occurrence BIGINT NOT NULL,
    step BIGINT NOT NULL
);
CREATE INDEX timers_plan ON timers (plan_time, id);
CREATE INDEX timers_subject ON timers (subject, kind);

-- What timers of tasks did. Never changes but for the state of the delivery.
CREATE TABLE firings (
    task BIGINT NOT NULL,
    no BIGINT NOT NULL,
    occurrence BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    step BIGINT NOT NULL,
    plan_time BIGINT NOT NULL,
    fire_time BIGINT NOT NULL,
    result BIGINT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    recipient TEXT COLLATE "C" NOT NULL,
    delivery BIGINT NOT NULL,
    error TEXT COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL,
    deliver_time BIGINT,
    PRIMARY KEY (task, no)
);

-- Messages that wait to be delivered, written with their firing. `sealed` is the message as it was
-- first handed over, under the task's key: a second try says the same, whatever changed meanwhile.
CREATE TABLE deliveries (
    task BIGINT NOT NULL,
    no BIGINT NOT NULL,
    next_time BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    sealed BYTEA,
    PRIMARY KEY (task, no)
);
CREATE INDEX deliveries_next ON deliveries (next_time, task, no);
