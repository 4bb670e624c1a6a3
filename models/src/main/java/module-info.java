/// Models, training, data and the command line.
module fornax.models {
  requires static transitive org.jspecify;
  requires static com.google.errorprone.annotations;
  requires transitive fornax.core;
  requires com.fasterxml.jackson.databind;
  requires info.picocli;
  requires jtokkit;
  requires java.desktop;
  requires static java.net.http; // in tests
  requires java.xml;
  requires jdk.httpserver;
  requires me.tongfei.progressbar;
  requires org.knowm.xchart;

  exports fornax.data;
  exports fornax.models.bert;
  exports fornax.models.gpt;
  exports fornax.models.learn;
  exports fornax.models.mlp;
  exports fornax.train;

  uses fornax.cli.BenchRunner;

  // picocli sets the fields of the commands.
  opens fornax.cli to
      info.picocli;
}
