//! Tests the behaviour that all sources share: tables in memory, and PostgreSQL.

use super::follower::Follower;
use super::sql::Database;
use super::{Tables, config, postgres};
use axum::Router;
use channel_sync::Sync;

struct World {
    tables: Tables,
    router: Router,
}

impl World {
    async fn in_memory() -> World {
        let database = Database::default();
        let router = Sync::new(database.source.clone(), config()).open_api();
        World::with(Tables::Memory(database), router).await
    }

    async fn postgres() -> World {
        let mut tables = postgres::Tables::new().await;
        let router = tables.sync(config()).await.open_api();
        World::with(Tables::Postgres(tables), router).await
    }

    /// A table `c(id int primary key, v text)` with rows 1 and 2.
    async fn with(tables: Tables, router: Router) -> World {
        let mut world = World { tables, router };
        world
            .run("create table c(id int primary key, v text)")
            .await;
        world.run("insert into c values (1,'a'),(2,'b')").await;
        world
    }

    async fn run(&mut self, sql: &str) {
        self.tables.run("main", sql).await;
        self.tables.settled().await;
    }

    async fn follow(&self, shape: &str) -> Follower {
        let mut follower = Follower::new(&self.router, shape);
        follower.current().await;
        follower
    }
}

macro_rules! contract {
    ($(async fn $name:ident($world:ident) $body:block)*) => {
        $(async fn $name(mut $world: World) $body)*

        mod in_memory {
            use super::World;
            $(
                #[tokio::test(start_paused = true)]
                async fn $name() {
                    super::$name(World::in_memory().await).await;
                }
            )*
        }

        mod over_postgres {
            use super::World;
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(World::postgres().await).await;
                }
            )*
        }
    };
}

contract! {
    async fn a_follower_has_the_rows_of_the_table(world) {
        let mut all = world.follow("table=c").await;
        let mut some = world.follow("table=c&where=v%3D%27a%27").await;
        assert_eq!(all.column("id"), ["1", "2"]);
        assert_eq!(some.column("id"), ["1"]);
        world.run("insert into c values (3,'a'),(4,'b')").await;
        world.run("update c set v='a' where id=2").await;
        world.run("update c set v='b' where id=1").await;
        world.run("update c set id=9 where id=3").await;
        world.run("delete from c where id=4").await;
        all.until(|f| f.column("id") == ["1", "2", "9"]).await;
        assert_eq!(all.column("v"), ["a", "a", "b"]);
        some.until(|f| f.column("id") == ["2", "9"]).await;
        assert_eq!((all.rotations, some.rotations), (0, 0));
    }

    async fn an_update_that_changes_nothing_is_told(world) {
        let mut all = world.follow("table=c").await;
        world.run("update c set v='a' where id=1").await;
        all.until(|f| f.txids.len() == 1).await;
        assert_eq!(all.column("v"), ["a", "b"]);
    }

    async fn a_table_that_is_emptied_at_once_ends_its_shapes(world) {
        let mut all = world.follow("table=c").await;
        world.run("truncate c").await;
        all.until(|f| f.rotations == 1).await;
        all.current().await;
        assert_eq!(all.column("id").len(), 0);
    }

    async fn a_table_that_is_dropped_and_made_again_is_another(world) {
        let mut all = world.follow("table=c").await;
        let handle = all.handle.clone();
        world.run("drop table c").await;
        all.until(|f| f.status == 400).await;
        world.run("create table c(id int primary key, w text)").await;
        world.run("insert into c values (5,'new')").await;
        all.until(|f| f.rotations == 1 && f.status == 200).await;
        all.current().await;
        assert_ne!(all.handle, handle);
        assert_eq!(all.column("w"), ["new"]);
    }

    async fn a_column_more_ends_the_shapes_that_have_all(world) {
        let mut all = world.follow("table=c").await;
        let mut named = world.follow("table=c&columns=id,v").await;
        world.run("alter table c add column n int").await;
        world.run("insert into c values (3,'c',7)").await;
        all.until(|f| f.rotations == 1 && f.rows.len() == 3).await;
        assert_eq!(all.column("n"), ["7", "null", "null"]);
        named.until(|f| f.rows.len() == 3).await;
        assert_eq!((named.rotations, named.column("v")), (0, vec!["a".into(), "b".into(), "c".into()]));
    }

    async fn a_shape_that_is_made_later_has_what_came_before_once(world) {
        let mut all = world.follow("table=c").await;
        world.run("insert into c values (3,'c')").await;
        let later = world.follow("table=c&where=id%20%3E%200").await;
        assert_eq!(later.column("id"), ["1", "2", "3"]);
        all.until(|f| f.rows.len() == 3).await;
    }
}
