// Takes the example out of README.md: the Java block after the marker becomes this project's only source.
def example = new File(readme).getText('UTF-8') =~ /(?s)<!-- example -->\s*```java\n(.*?)```/
assert example.find() : 'README.md: no Java block after <!-- example -->'
def source = new File(basedir, 'src/main/java/Example.java')
source.parentFile.mkdirs()
source.setText(example.group(1), 'UTF-8')
